import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { backUp, initRepository, password, restoreLatest } from '../tools/engine.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import { describeWith } from '../tools/peers.ts';
import { mustRestic, runRestic } from '../tools/restic.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { pseudoRandom } from '../tools/seeds.ts';

const scratch = scratchFolder('repair');
let pristine = '';

function holdfast(repository: string, ...args: readonly string[]): Promise<CommandRun> {
  return runCommand(args, {
    variables: { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: password, HOLDFAST_NO_CACHE: '1' },
  });
}

/** A copy of the repository, whose files can be damaged. */
function copyOfPristine(): string {
  const place = scratch.fresh('repository');
  cpSync(pristine, place, { recursive: true });
  for (const file of filesOf(place)) chmodSync(file, 0o600);
  return place;
}

function filesOf(repository: string, folder = '.'): string[] {
  return readdirSync(join(repository, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted();
}

beforeAll(async () => {
  const source = scratch.fresh('source');
  mkdirSync(join(source, 'folder'), { recursive: true });
  for (let i = 0; i < 6; i++) {
    writeFileSync(join(source, i % 2 === 0 ? '.' : 'folder', `f${i}`), pseudoRandom(30_000, i + 1));
  }
  pristine = scratch.fresh('pristine');
  await initRepository(pristine);
  await backUp(pristine, [join(source, 'folder')], { options: { workerCount: 1 } });
  await backUp(pristine, [source], { options: { workerCount: 1 } });
});

describeWith(['restic'], 'repair index', () => {
  test.each(['repair index', 'rebuild-index'])(
    '%s makes an index that restic takes',
    async (command) => {
      const repository = copyOfPristine();
      for (const file of filesOf(repository, 'index')) rmSync(file);
      const { exitCode, errors } = await holdfast(repository, ...command.split(' '));
      expect({ exitCode, errors }).toEqual({ exitCode: 0, errors: '' });
      await mustRestic(repository, ['check', '--read-data']);
      expect((await restoreLatest(repository, scratch.fresh('target'))).complaints).toEqual([]);
      // And restic finds nothing to read any more.
      expect(await mustRestic(repository, ['repair', 'index'])).not.toContain('reading pack files');
    },
  );

  test('damaged index files and packs that are gone: as restic repairs them', async () => {
    const [ours, theirs] = [copyOfPristine(), copyOfPristine()];
    for (const repository of [ours, theirs]) {
      truncateSync(filesOf(repository, 'index')[0] ?? '', 50);
      rmSync(filesOf(repository, 'data')[0] ?? '');
    }
    expect((await holdfast(ours, 'repair', 'index')).exitCode).toBe(0);
    await mustRestic(theirs, ['repair', 'index']);
    expect(await listBlobs(ours)).toEqual(await listBlobs(theirs));
    const [a, b] = [await runRestic(ours, ['check']), await runRestic(theirs, ['check'])];
    expect(a.exitCode).toBe(b.exitCode);
  });

  test('of a truncated pack more is left than restic leaves', async () => {
    const [ours, theirs] = [copyOfPristine(), copyOfPristine()];
    const largest = filesOf(ours, 'data').map((file) => file.slice(ours.length));
    for (const repository of [ours, theirs]) {
      for (const file of largest) truncateSync(join(repository, file), 60_000);
    }
    const { exitCode, errors } = await holdfast(ours, 'repair', 'index');
    expect(exitCode).toBe(1);
    expect(errors).toContain('holdfast repair packs');
    await mustRestic(theirs, ['repair', 'index']);
    const kept = await listBlobs(ours);
    expect(await listBlobs(theirs)).toEqual([]);
    expect(kept.length).toBeGreaterThan(0);
    scratch.remove(ours);
    scratch.remove(theirs);
  });
});

async function listBlobs(repository: string): Promise<string[]> {
  const text = await mustRestic(repository, ['list', 'blobs', '-q']);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .toSorted();
}
