import { execFileSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
  openSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import {
  backUp,
  checkAll,
  hurried,
  initRepository,
  listSnapshots,
  password,
  singleThreaded,
  restoreLatest,
  withRepository,
} from '../tools/engine.ts';
import { type CommandRun, runCommand } from '../tools/in-process.ts';
import { describeWith } from '../tools/peers.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { pseudoRandom } from '../tools/seeds.ts';

/** A real file system without a free byte: the only way out is to remove something. */

const scratch = scratchFolder('full-disk');
let disk: string;
let repository: string;
let source: string;

function run(...args: readonly string[]): Promise<CommandRun> {
  const variables = { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: password, TZ: 'UTC' };
  return runCommand(['--no-cache', ...args], { variables, environment: hurried });
}

/** Takes the last byte. */
function fill(): void {
  const file = openSync(join(disk, 'filler'), 'a');
  for (let sizeBytes = 1 << 20; sizeBytes >= 1; ) {
    try {
      writeSync(file, new Uint8Array(sizeBytes));
    } catch {
      sizeBytes >>= 1;
    }
  }
  closeSync(file);
  expect(() => writeFileSync(join(disk, 'more'), 'x')).toThrow(/ENOSPC/);
}

function packBytes(): number {
  const packs = readdirSync(join(repository, 'data'), { recursive: true, withFileTypes: true });
  return packs
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}

/** What is left is whole, and the newest snapshot gives back what was backed up. */
async function expectWhole(snapshotCount: number): Promise<void> {
  expect((await checkAll(repository, undefined, singleThreaded)).errors).toEqual([]);
  expect(await listSnapshots(repository)).toHaveLength(snapshotCount);
  const target = scratch.fresh('target');
  expect((await restoreLatest(repository, target)).complaints).toEqual([]);
  expect(Buffer.compare(readFileSync(join(target, 'file')), pseudoRandom(200_000, 3))).toBe(0);
  expect(readdirSync(join(repository, 'locks'))).toEqual([]);
}

describeWith(['mount'], 'on a disk that is full to the last byte', () => {
  /** Three snapshots; two of them forgotten; what only these needed marked. */
  const states = { whole: scratch.fresh('whole'), forgotten: '', marked: '' };

  beforeAll(async () => {
    source = scratch.fresh('source');
    mkdirSync(source);
    const { whole } = states;
    await initRepository(whole);
    for (const seed of [1, 2, 3]) {
      writeFileSync(join(source, 'file'), pseudoRandom(200_000, seed));
      const settings = { source: { workingDirectory: source }, environment: singleThreaded };
      await backUp(whole, ['.'], { ...settings, options: { workerCount: 1 } });
    }
    states.forgotten = await after(whole, 'forget', '--keep-last', '1');
    states.marked = await after(states.forgotten, 'prune');
  });

  /** A copy of a repository on which a command was run. */
  async function after(from: string, ...args: readonly string[]): Promise<string> {
    repository = scratch.fresh('state');
    cpSync(from, repository, { recursive: true });
    expect(await run(...args)).toMatchObject({ exitCode: 0 });
    return repository;
  }

  /** Puts a repository on a disk of its own, and fills that. */
  function onFullDisk(state: keyof typeof states): void {
    cpSync(states[state], repository, { recursive: true });
    fill();
  }

  beforeEach(() => {
    disk = scratch.fresh('disk');
    repository = join(disk, 'repository');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'none', disk]);
  });

  afterEach(() => execFileSync('umount', ['-l', disk]));

  test('a prune says that there is no room, what helps, and changes nothing', async () => {
    onFullDisk('forgotten');
    const before = readdirSync(repository, { recursive: true });
    for (const form of [[], ['--instant']]) {
      const { exitCode, errors } = await run('prune', ...form);
      expect(exitCode).toBe(1);
      expect(errors).toMatch(/the storage is full/);
      expect(errors).toMatch('prune --unsafe-recover-no-free-space');
    }
    expect(readdirSync(repository, { recursive: true })).toEqual(before);
  });

  test('forget makes the room that its lock needs, and prunes at once', async () => {
    onFullDisk('whole');
    const before = packBytes();
    const { exitCode, errors, output } = await run(
      'forget',
      '--keep-last',
      '1',
      '--prune',
      '--instant',
    );
    expect({ exitCode, errors }).toMatchObject({ exitCode: 0 });
    expect(output).toContain('removed 2 snapshots');
    expect(packBytes()).toBeLessThan(before - 350_000);
    await expectWhole(1);
  });

  test('where one lock fits, but not the two of the second phase, --instant does it', async () => {
    onFullDisk('whole');
    const before = packBytes();
    expect(await run('forget', '--keep-last', '1')).toMatchObject({ exitCode: 0 });
    expect(await run('prune')).toMatchObject({ exitCode: 0 });
    expect(packBytes()).toBe(before);
    const { exitCode, errors } = await run('prune', '--keep-delete', '0s');
    expect(exitCode).toBe(1);
    expect(errors).toMatch('prune again with --instant');
    expect(packBytes()).toBe(before);
    expect(await run('prune', '--instant')).toMatchObject({ exitCode: 0 });
    expect(packBytes()).toBeLessThan(before - 350_000);
    await expectWhole(1);
  });

  test.each(['marked', 'forgotten'] as const)(
    '--unsafe-recover-no-free-space frees what is %s',
    async (state) => {
      onFullDisk(state);
      const before = packBytes();
      const id = await withRepository(repository, {}, async ({ config }) => config.id);
      const { exitCode, errors } = await run('prune', '--unsafe-recover-no-free-space', id);
      expect({ exitCode, errors }).toMatchObject({ exitCode: 0 });
      expect(errors).toMatch('no room for a lock');
      expect(packBytes()).toBeLessThan(before - 350_000);
      await expectWhole(1);
    },
  );
});
