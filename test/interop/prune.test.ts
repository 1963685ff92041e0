import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { noise } from '../../src/engine/engine-test-support.ts';
import { encodeLock } from '../../src/repository/locks.ts';
import { initRepository, listSnapshots, password, withRepository } from '../tools/engine.ts';
import { describeWith } from '../tools/peers.ts';
import { program } from '../tools/program.ts';
import { mustRestic, resticBackup } from '../tools/restic.ts';
import { type ProgramRun, runProgram } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('interop-prune');

function holdfast(folder: string, args: readonly string[]): Promise<ProgramRun> {
  const variables = { RESTIC_REPOSITORY: folder, RESTIC_PASSWORD: password };
  return runProgram(process.execPath, [program, '--no-cache', ...args], { variables });
}

async function mustHoldfast(folder: string, args: readonly string[]): Promise<string> {
  const { exitCode, output, errors } = await holdfast(folder, args);
  expect(exitCode, output + errors).toBe(0);
  return output;
}

/** Files of 200 kB, by their numbers. */
function writeFiles(source: string, numbers: readonly number[]): void {
  rmSync(source, { recursive: true, force: true });
  mkdirSync(source);
  for (const number of numbers) writeFileSync(`${source}/${number}`, noise(200_000, number));
}

const range = (start: number, end: number): number[] =>
  Array.from({ length: end - start }, (_, i) => start + i);

/** The figures that both print, from the first on. */
function figuresOf(output: string): string[] {
  const lines = output.split('\n');
  const first = lines.findIndex((line) => line.startsWith('used:'));
  const last = lines.findLastIndex((line) => line.startsWith('to delete:'));
  return lines.slice(first, last + 1);
}

/** A repository of both programs with packs of every kind, of which half of the snapshots are gone. */
const grownOnce = join(scratch.path, 'grown');
const source = join(scratch.path, 'source');

/** A copy of it. */
function grown(): string {
  const folder = scratch.fresh('repository');
  cpSync(grownOnce, folder, { recursive: true });
  return folder;
}

async function grow(folder: string): Promise<void> {
  await initRepository(folder);
  writeFiles(source, range(0, 60));
  await resticBackup(folder, ['--pack-size', '4', source]);
  for (let run = 0; run < 6; run++) {
    writeFiles(source, [...range(run * 5, 45), ...range(100 + run, 104 + run)]);
    if (run % 2) await resticBackup(folder, ['--compression', 'off', source]);
    else await mustHoldfast(folder, ['backup', '--quiet', '--pack-size', '4', source]);
  }
  const ids = (await listSnapshots(folder)).map(({ id }) => id);
  await mustRestic(folder, ['forget', '--quiet', ...ids.filter((_, i) => i % 2 === 0)]);
  writeFileSync(`${folder}/data/ab/${'ab'.repeat(32)}`, noise(777, 7));
}

describeWith(['restic'], 'prune', () => {
  beforeAll(() => grow(grownOnce));

  test('gives the figures of restic, whatever is asked for', async () => {
    const folder = grown();
    const policies = [
      [],
      ['--max-unused', '0'],
      ['--max-unused', '3M'],
      ['--max-repack-size', '5M', '--max-unused', '0'],
      ['--repack-cacheable-only'],
      ['--repack-smaller-than', '1M', '--max-unused', '10%'],
      ['--repack-uncompressed', '--max-unused', '1%'],
    ];
    for (const policy of policies) {
      const args = ['prune', '--dry-run', '--no-lock', '--verbose', ...policy];
      const theirs = figuresOf(await mustRestic(folder, args));
      expect(theirs.length).toBeGreaterThan(15);
      expect(figuresOf(await mustHoldfast(folder, args)), policy.join(' ')).toEqual(theirs);
    }
  }, 240_000);

  test('in two phases leaves restic content at every step, and takes in what it does in between', async () => {
    const folder = grown();
    const before = await mustRestic(folder, ['list', 'packs', '--no-lock']);
    expect(await mustHoldfast(folder, ['prune', '--max-unused', '0'])).toMatch(
      /^marked \d+ packs .*: a prune after 24h deletes them$/m,
    );
    const after = await mustRestic(folder, ['list', 'packs', '--no-lock']);
    for (const pack of before.split('\n')) expect(after).toContain(pack);
    expect(await mustRestic(folder, ['check'])).toContain('no errors were found');
    // Leans on packs that are marked.
    writeFiles(source, range(0, 20));
    const { data_added } = await resticBackup(folder, [source]);
    expect(data_added).toBeLessThan(100_000);
    const kept = await mustHoldfast(folder, ['prune', '--keep-delete', '0s']);
    expect(kept).toMatch(/^deleted \d+ packs .* that were marked before$/m);
    const checked = await mustRestic(folder, ['check', '--read-data']);
    expect(checked).toContain('no errors were found');
    await mustHoldfast(folder, ['check', '--read-data']);
    // Marked again, and then restic prunes: it does not know marks.
    await mustHoldfast(folder, ['prune', '--max-unused', '0']);
    await mustRestic(folder, ['prune', '--max-unused', '0']);
    await mustRestic(folder, ['check', '--read-data']);
    await mustHoldfast(folder, ['prune', '--keep-delete', '0s']);
    expect(await mustRestic(folder, ['check', '--read-data'])).toContain('no errors were found');
    await mustHoldfast(folder, ['check', '--read-data']);
  }, 240_000);

  test('at once leaves what restic would', async () => {
    const folder = grown();
    await mustHoldfast(folder, ['prune', '--instant', '--max-unused', '0']);
    expect(await mustRestic(folder, ['check', '--read-data'])).toContain('no errors were found');
    const figures = figuresOf(await mustRestic(folder, ['prune', '-n', '-v', '--max-unused', '0']));
    expect(figures.find((line) => line.startsWith('total prune:'))).toBe(
      'total prune:           0 blobs / 0 B',
    );
  }, 240_000);

  test('deletes nothing while restic works, says so, and marks all the same', async () => {
    const folder = grown();
    await mustHoldfast(folder, ['prune', '--max-unused', 'unlimited']);
    const packs = await mustRestic(folder, ['list', 'packs', '--no-lock']);
    await withRepository(folder, {}, async (repository) => {
      const now = { seconds: Math.floor(systemClock.wallMs() / 1000), nanoseconds: 0 };
      const owner = { hostname: 'elsewhere', username: 'anna', pid: 1 };
      const lock = encodeLock({ time: now, exclusive: false, ...owner });
      await repository.saveUnpacked('lock', lock);
    });
    const run = await holdfast(folder, ['prune', '--keep-delete', '0s', '--max-unused', '0']);
    expect(run.exitCode).toBe(11);
    expect(run.errors).toMatch(
      /^Fatal: the repository is locked by process 1 of anna on elsewhere/m,
    );
    expect(run.output).toMatch(/^marked \d+ packs/m);
    const left = await mustRestic(folder, ['list', 'packs', '--no-lock']);
    for (const pack of packs.split('\n')) expect(left).toContain(pack);
    const instant = await holdfast(folder, ['prune', '--instant']);
    expect(instant.exitCode).toBe(11);
    await mustRestic(folder, ['unlock', '--remove-all']);
    await mustHoldfast(folder, ['prune', '--keep-delete', '0s']);
    expect(await mustRestic(folder, ['check', '--read-data'])).toContain('no errors were found');
  }, 240_000);
});
