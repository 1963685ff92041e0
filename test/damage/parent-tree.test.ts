import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { toHex } from '../../src/base/bytes.ts';
import { backUp, checkAll, initRepository, restoreLatest, withIndex } from '../tools/engine.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('parent-tree');

/** The files of all packs that hold trees. */
function treePacks(repository: string): Promise<string[]> {
  return withIndex(repository, {}, ({ index }) => {
    const names = new Set<string>();
    for (let entry = 0; entry < index.blobCount; entry++) {
      if (index.typeOf(entry) === 'tree') names.add(toHex(index.packId(index.packOf(entry))));
    }
    return Promise.resolve(
      Array.from(names, (name) => `${repository}/data/${name.slice(0, 2)}/${name}`),
    );
  });
}

function flipMiddle(file: string): void {
  const bytes = readFileSync(file);
  const at = bytes.byteLength >> 2;
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  rmSync(file);
  writeFileSync(file, bytes);
}

test.each([
  { damage: 'damaged', harm: flipMiddle },
  { damage: 'gone', harm: (file: string): void => rmSync(file) },
])('trees that are $damage are stored again by the next backup', async ({ harm }) => {
  const source = scratch.fresh('source');
  mkdirSync(`${source}/one/two/three`, { recursive: true });
  writeFileSync(`${source}/one/two/three/file`, 'content');
  const repository = scratch.fresh('repository');
  await initRepository(repository);
  const settings = { source: { workingDirectory: source } };
  await backUp(repository, ['.'], settings);
  for (const file of await treePacks(repository)) harm(file);
  const { problems, complaints } = await backUp(repository, ['.'], settings);
  expect(problems).toEqual([]);
  // What is damaged is always told, but nothing of the source is missing.
  expect(complaints.length).toBeGreaterThan(0);
  const restored = scratch.fresh('restored');
  expect((await restoreLatest(repository, restored)).complaints).toEqual([]);
  expect(readdirSync(restored, { recursive: true })).toContain('one/two/three/file');
  expect((await checkAll(repository)).affectedFiles).toEqual([]);
});
