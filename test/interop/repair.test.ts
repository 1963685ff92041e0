import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { backUp, hurried, initRepository, password, restoreLatest } from '../tools/engine.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import { describeWith } from '../tools/peers.ts';
import { mustRestic, resticTrees, runRestic } from '../tools/restic.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { pseudoRandom } from '../tools/seeds.ts';

const scratch = scratchFolder('repair');
let pristine = '';
let source = '';

function holdfast(repository: string, ...args: readonly string[]): Promise<CommandRun> {
  return runCommand(args, {
    environment: hurried,
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
  source = scratch.fresh('source');
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

  test('where the index is lost, believes headers, unless it is to read the packs', async () => {
    const repository = copyOfPristine();
    flipByte(largest(repository), 40_000);
    const loseIndex = (): void => filesOf(repository, 'index').forEach((file) => rmSync(file));
    loseIndex();
    const believing = await holdfast(repository, 'repair', 'index');
    expect(believing).toMatchObject({ exitCode: 0, errors: '' });
    expect(believing.output).toContain('"holdfast check --read-data" reads them whole');
    const all = await listBlobs(repository);
    loseIndex();
    const reading = await holdfast(repository, 'repair', 'index', '--read-data');
    expect(reading.exitCode).toBe(1);
    expect(reading.errors).toMatch(/^data blob [0-9a-f]{64} of pack [0-9a-f]{64} is not listed/m);
    expect(reading.output).not.toContain('reads them whole');
    const sound = await listBlobs(repository);
    expect(sound).toHaveLength(all.length - 1);
    expect(all).toEqual(expect.arrayContaining(sound));
    const both = await holdfast(repository, 'repair', 'index', '--read-data', '--headers-only');
    expect(both).toMatchObject({ exitCode: 1 });
    expect(both.errors).toContain('cannot be given together');
    scratch.remove(repository);
  });
});

describeWith(['restic'], 'repair packs', () => {
  test('leaves what restic leaves, and heals from the files', async () => {
    const [ours, theirs] = [copyOfPristine(), copyOfPristine()];
    for (const repository of [ours, theirs]) flipByte(largest(repository), 40_000);
    const id = basename(largest(ours));
    await runIn(scratch.fresh('cwd'), async () => {
      const { exitCode, errors } = await holdfast(ours, 'repair', 'packs', id);
      expect(exitCode, errors).toBe(0);
      expect(errors).toMatch(/cannot be restored whole/);
      expect(readdirSync('.')).toEqual([`pack-${id}`]);
    });
    await mustRestic(theirs, ['repair', 'packs', id], { cwd: scratch.path });
    expect(await listBlobs(ours)).toEqual(await listBlobs(theirs));
    expect((await runRestic(ours, ['check'])).exitCode).toBe(1);
    const healed = copyOfPristine();
    flipByte(largest(healed), 40_000);
    await runIn(scratch.fresh('cwd'), async () => {
      const { output } = await holdfast(healed, 'repair', 'packs', '--from-folder', source, id);
      expect(output).toContain('1 found elsewhere, 0 lost');
    });
    await mustRestic(healed, ['check', '--read-data']);
  });
});

describeWith(['restic'], 'repair snapshots', () => {
  test('makes the trees that restic makes', async () => {
    const ours = copyOfPristine();
    // By size, not by name: names are random.
    rmSync(largest(ours));
    expect((await holdfast(ours, 'repair', 'index')).exitCode).toBe(0);
    const theirs = scratch.fresh('repository');
    cpSync(ours, theirs, { recursive: true });
    const { exitCode, output, errors } = await holdfast(ours, 'repair', 'snapshots');
    expect(exitCode, errors).toBe(0);
    expect(output).toContain('saved new snapshot');
    await mustRestic(theirs, ['repair', 'snapshots', '--forget']);
    expect((await holdfast(ours, 'repair', 'snapshots', '--forget')).exitCode).toBe(0);
    expect(await resticTrees(ours)).toEqual(await resticTrees(theirs));
    await mustRestic(ours, ['check', '--read-data']);
  });
});

describeWith(['restic'], 'parity', () => {
  test('is remembered, heals a pack byte for byte, and restic does not see it', async () => {
    const repository = scratch.fresh('repository');
    await initRepository(repository);
    const { exitCode } = await holdfast(repository, 'backup', '--parity', '10', source);
    expect(exitCode).toBe(0);
    await mustRestic(repository, ['backup', '-q', scratch.path, '--exclude', repository]);
    await mustRestic(repository, ['check', '--read-data']);
    expect((await holdfast(repository, 'parity', '10')).output).toMatch(
      /(\d+) of \1 packs have it/,
    );
    const pack = largest(repository);
    chmodSync(pack, 0o600);
    const pristine = readFileSync(pack);
    writeFileSync(pack, Buffer.from(pristine).fill(0, 4096, 8192));
    const checked = await holdfast(repository, 'check', '--read-data');
    expect(checked.exitCode).toBe(1);
    expect(checked.errors).toContain(`holdfast repair packs ${basename(pack)}`);
    await runIn(scratch.fresh('cwd'), async () => {
      const healed = await holdfast(repository, 'repair', 'packs', basename(pack));
      expect(healed.output).toContain('healed pack');
    });
    expect(readFileSync(pack)).toEqual(pristine);
    await mustRestic(repository, ['check', '--read-data']);
    await mustRestic(repository, ['forget', '--keep-last', '1', '--group-by', '', '--prune']);
    await mustRestic(repository, ['check', '--read-data']);
    expect((await holdfast(repository, 'check', '--read-data')).exitCode).toBe(0);
  });
});

/** The largest pack: it holds file content. */
function largest(repository: string): string {
  const packs = filesOf(repository, 'data');
  return packs.toSorted((a, b) => statSync(b).size - statSync(a).size)[0] ?? '';
}

function flipByte(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

/** Works in a folder of its own, where commands leave files. */
async function runIn(place: string, work: () => Promise<void>): Promise<void> {
  const before = process.cwd();
  mkdirSync(place);
  process.chdir(place);
  try {
    await work();
  } finally {
    process.chdir(before);
  }
}

async function listBlobs(repository: string): Promise<string[]> {
  const text = await mustRestic(repository, ['list', 'blobs', '-q']);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .toSorted();
}
