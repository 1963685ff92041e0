import { linkSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';

/**
 * Swaps files and directories of the folder for links that lead to a secret, for pipes and for each other, as fast
 * as it can and until it is killed: `swap-child.ts FOLDER SECRET`. Prints how many swaps were made.
 */
const [, , folder = '', secret = ''] = process.argv;
const stock = `${folder}-stock`;
mkdirSync(stock);
mkdirSync(`${folder}/inner`);
writeFileSync(`${folder}/inner/file`, 'public');
symlinkSync(secret, `${stock}/inner-link`);
spawnSync('mkfifo', [`${stock}/pipe`]);

const shapes = ['file', 'link', 'pipe', 'folder'] as const;

/** Puts something of this shape at `place`, replacing what is there in one step where that is possible. */
function put(shape: (typeof shapes)[number], place: string): void {
  const made = `${stock}/made`;
  if (shape === 'file') writeFileSync(made, 'public');
  else if (shape === 'link') symlinkSync(`${secret}/file`, made);
  else if (shape === 'pipe') linkSync(`${stock}/pipe`, made);
  else mkdirSync(made);
  try {
    renameSync(made, place);
  } catch {
    // A directory takes no other's place, nor the other way round.
    rmSync(place, { recursive: true, force: true });
    renameSync(made, place);
  }
}

for (let i = 0; ; i++) {
  put(shapes[i % shapes.length] ?? 'file', `${folder}/${i % 7}`);
  if (i % 5 === 0) {
    renameSync(`${folder}/inner`, `${stock}/inner`);
    renameSync(`${stock}/inner-link`, `${folder}/inner`);
    renameSync(`${folder}/inner`, `${stock}/inner-link`);
    renameSync(`${stock}/inner`, `${folder}/inner`);
  }
  if (i % 100 === 0) console.log(i);
}
