import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Clock } from '../../src/base/clock.ts';
import { systemEnvironment } from '../../src/base/environment.ts';
import {
  backUp,
  checkAll,
  initRepository,
  listSnapshots,
  password,
  restoreLatest,
} from '../tools/engine.ts';
import { type FuseMount, mountFuse } from '../tools/fuse.ts';
import { fuseContent } from '../tools/fuse-spec.ts';
import { unmount } from '../tools/loop-mount.ts';
import { describeWith } from '../tools/peers.ts';
import { program } from '../tools/program.ts';
import { mustRun } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';

const scratch = scratchFolder('hazards');
const points: string[] = [];
const fuseMounts: FuseMount[] = [];
let repository: string;
let folder: string;
beforeEach(async () => {
  repository = scratch.fresh('repository');
  await initRepository(repository);
  folder = scratch.fresh('tree');
  mkdirSync(folder);
  writeFileSync(`${folder}/a file`, 'here');
});
afterEach(async () => {
  for (const mount of fuseMounts.splice(0)) await mount.unmount();
  for (const point of points.splice(0).toReversed()) unmount(point);
});

async function mount(point: string, ...args: string[]): Promise<void> {
  mkdirSync(point, { recursive: true });
  await mustRun('mount', [...args, point]);
  points.push(point);
}

async function restored(): Promise<string> {
  const target = scratch.fresh('restored');
  expect((await restoreLatest(repository, target)).complaints).toEqual([]);
  return target + folder;
}

describeWith(['root'], 'C14: mount points', () => {
  test('are crossed, or kept empty with one file system', async () => {
    await mount(`${folder}/mounted`, '-t', 'tmpfs', 'tmpfs');
    writeFileSync(`${folder}/mounted/inside`, 'there');
    expect((await backUp(repository, [folder])).complaints).toEqual([]);
    expect(readdirSync(await restored())).toEqual(['a file', 'mounted']);
    expect(readdirSync(`${await restored()}/mounted`)).toEqual(['inside']);
    const source = { exclude: { oneFileSystem: true } };
    expect((await backUp(repository, [folder], { source })).complaints).toEqual([]);
    expect(readdirSync(`${await restored()}/mounted`)).toEqual([]);
  });

  test('that lead back to a directory above end somewhere', async () => {
    await mount(`${folder}/x/loop`, '--rbind', folder);
    await mount(`${folder}/x/again`, '--rbind', folder);
    const { complaints, summary } = await backUp(repository, [folder]);
    expect(complaints).toEqual([]);
    expect(summary.totalFilesProcessed).toBeLessThan(20);
  });

  test('that are gone make no clean snapshot', async () => {
    await mount(`${folder}/mounted`, '-t', 'tmpfs', 'tmpfs');
    writeFileSync(`${folder}/mounted/inside`, 'there');
    expect((await backUp(repository, [folder])).exitCode).toBe(0);
    await mustRun('umount', [`${folder}/mounted`]);
    const backup = await backUp(repository, [folder]);
    expect(backup.complaints).toEqual([
      `${folder}/mounted: it is empty and on another device than before: is its file system mounted?`,
    ]);
  });

  test('that are gone make no clean snapshot, also if every file is read again', async () => {
    await mount(`${folder}/mounted`, '-t', 'tmpfs', 'tmpfs');
    writeFileSync(`${folder}/mounted/inside`, 'there');
    expect((await backUp(repository, [folder])).exitCode).toBe(0);
    await mustRun('umount', [`${folder}/mounted`]);
    const backup = await backUp(repository, [folder], { options: { force: true } });
    expect(backup.complaints).toEqual([`${folder}/mounted: ${unmounted}`]);
  });

  test('that are gone make no clean snapshot as long as they are targets', async () => {
    await mount(`${folder}/mounted`, '-t', 'tmpfs', 'tmpfs');
    writeFileSync(`${folder}/mounted/inside`, 'there');
    const targets = [`${folder}/mounted`];
    expect((await backUp(repository, targets)).exitCode).toBe(0);
    await mustRun('umount', targets);
    for (let day = 2; day < 4; day++) {
      const backup = await backUp(repository, targets);
      expect(backup.complaints).toEqual([`${folder}/mounted: ${unmounted}`]);
    }
  });

  test('of the kernel itself end, and name what cannot be read', async () => {
    const child = spawn('sleep', ['100']);
    try {
      // Not all of /sys: reading some files of it changes the machine.
      for (const place of [`/proc/${child.pid}`, '/sys/kernel/mm']) {
        const backup = await backUp(repository, [place]);
        expect(backup.summary.totalFilesProcessed).toBeGreaterThan(10);
      }
    } finally {
      child.kill();
    }
    expect((await checkAll(repository)).errors).toEqual([]);
  });
});

describeWith(['fuse'], 'C14: a file system that does not answer', () => {
  test('is left out and named; the rest is stored', async () => {
    fuseMounts.push(await mountFuse(`${folder}/dead`, { files: {}, hangs: true }));
    writeFileSync(`${folder}/z file`, 'here');
    const { clock, waitCount } = impatientClock(120_000);
    const source = { environment: { ...systemEnvironment, clock } };
    const backup = await backUp(repository, [folder], { source });
    expect(waitCount()).toBe(1);
    expect(backup.complaints).toEqual([
      `${folder}/dead: the file system mounted here does not answer (reason: silent-mount)`,
    ]);
    const copy = await restored();
    expect(readdirSync(copy)).toEqual(['a file', 'z file']);
    expect(() => statSync(`${copy}/dead`)).toThrow('ENOENT');
  });

  test('is left out and named also if it is the target', async () => {
    fuseMounts.push(await mountFuse(`${folder}/dead`, { files: {}, hangs: true }));
    const source = { probeTimeoutMs: 300 };
    await expect(backUp(repository, [`${folder}/dead`], { source })).rejects.toMatchObject({
      code: 'SOURCE_FAILED',
    });
  });

  test('at a folder that is all there is to back up makes no snapshot', async () => {
    const files = { deaf: { sizeBytes: 0, isDirectory: true, hangs: 'readdir' } } as const;
    fuseMounts.push(await mountFuse(`${folder}/mounted`, { files }));
    const { clock } = impatientClock(120_000);
    const source = { environment: { ...systemEnvironment, clock } };
    const backup = backUp(repository, [`${folder}/mounted/deaf`], { source });
    await expect(backup).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
    expect(await listSnapshots(repository)).toEqual([]);
  });

  test('after its mount point did costs the entry that hangs, and nothing else', async () => {
    const files = {
      'a file': { sizeBytes: 7 },
      'deaf file': { sizeBytes: 10_000, hangs: 'read' },
      'deaf folder': { sizeBytes: 0, isDirectory: true, hangs: 'readdir' },
      'deaf status': { sizeBytes: 3, hangs: 'getattr' },
      folder: { sizeBytes: 0, isDirectory: true },
      locked: { sizeBytes: 3, hangs: 'open' },
      'z file': { sizeBytes: 3_000_000 },
    } as const;
    fuseMounts.push(await mountFuse(`${folder}/mounted`, { files }));
    writeFileSync(`${folder}/z file`, 'here');
    const source = { probeTimeoutMs: 1500 };
    const backup = await backUp(repository, [folder], { source });
    const why = 'its file system gave no answer for 1.5 seconds (reason: silent)';
    expect(backup.complaints).toEqual(
      ['deaf file', 'deaf folder', 'deaf status', 'locked'].map(
        (name) => `${folder}/mounted/${name}: ${why}`,
      ),
    );
    expect(backup.exitCode).toBe(3);
    const copy = await restored();
    expect(readdirSync(copy)).toEqual(['a file', 'mounted', 'z file']);
    expect(readdirSync(`${copy}/mounted`)).toEqual(['a file', 'folder', 'z file']);
    expect(readFileSync(`${copy}/mounted/z file`).equals(fuseContent(3_000_000))).toBe(true);
  });

  test('at all any more is given up after a few questions', async () => {
    const deaf = { sizeBytes: 10, hangs: 'read' } as const;
    const names = Array.from({ length: 40 }, (_, i) => `file ${i}`);
    const files = Object.fromEntries(names.map((name) => [name, deaf]));
    fuseMounts.push(await mountFuse(`${folder}/mounted`, { files, diesOfHanging: true }));
    const { clock, waitCount } = impatientClock(120_000);
    const source = { environment: { ...systemEnvironment, clock } };
    const backup = await backUp(repository, [folder], { source });
    expect(backup.complaints).toHaveLength(40);
    expect(waitCount()).toBeLessThanOrEqual(6);
    expect(readdirSync(await restored())).toEqual(['a file', 'mounted']);
  });

  test('at a target inside it is left out, too', async () => {
    const files = { deaf: { sizeBytes: 3, hangs: 'getattr' }, well: { sizeBytes: 3 } } as const;
    fuseMounts.push(await mountFuse(`${folder}/mounted`, { files }));
    const source = { probeTimeoutMs: 1500 };
    const targets = ['deaf', 'well'].map((name) => `${folder}/mounted/${name}`);
    const backup = await backUp(repository, targets, { source });
    expect(backup.complaints).toEqual([expect.stringContaining(`${folder}/mounted/deaf: `)]);
    expect(readdirSync(`${await restored()}/mounted`)).toEqual(['well']);
  });

  test.each(['open', 'read'] as const)(
    'in the middle (%s) does not keep an interrupt from ending the work',
    async (hangs) => {
      const files = { a: { sizeBytes: 7 }, stuck: { sizeBytes: 700_000, hangs } };
      fuseMounts.push(await mountFuse(`${folder}/mounted`, { files }));
      const args = ['-r', repository, '--no-cache', 'backup', folder];
      const child = spawn(process.execPath, [program, ...args], {
        env: { ...process.env, RESTIC_PASSWORD: password },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      await until(() => isStuck(child.pid ?? 0));
      // Without the interrupt it would wait for two minutes, and end with 3.
      const ended = once(child, 'exit');
      child.kill('SIGINT');
      expect(String(await once(child.stderr, 'data'))).toContain('interrupted: stopping');
      // The file system still hangs: whoever reads it is left to the kernel.
      expect((await ended)[0]).toBe(130);
      expect(readdirSync(`${repository}/locks`)).toEqual([]);
    },
  );
});

const unmounted = 'it is empty and on another device than before: is its file system mounted?';

/** Resolves once `condition` is true. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await systemEnvironment.clock.sleep(50);
}

/** True if a process that this one has started waits for a file system of a program. */
function isStuck(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`)
    .flatMap((thread) => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' '))
    .some((child) => child !== '' && isWaiting(Number(child)));
}

function isWaiting(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/wchan`, 'utf8') === 'request_wait_answer';
  } catch {
    // It has ended: one that only asked whether the mount point answers.
    return false;
  }
}

/** A clock whose waits of `waitMs` are over after 1.5 seconds; it counts them. */
function impatientClock(waitMs: number): { clock: Clock; waitCount: () => number } {
  const { clock } = systemEnvironment;
  let count = 0;
  const sleep: Clock['sleep'] = async (ms, signal) => {
    await clock.sleep(ms === waitMs ? 1500 : ms, signal);
    if (ms === waitMs) count++;
  };
  return { clock: { ...clock, sleep }, waitCount: () => count };
}
