import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemEnvironment } from '../../src/base/environment.ts';
import { backUp, checkAll, initRepository, password, restoreLatest } from '../tools/engine.ts';
import { type FuseMount, hasFuse, mountFuse } from '../tools/fuse.ts';
import { unmount } from '../tools/loop-mount.ts';
import { describeWith } from '../tools/peers.ts';
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
  }, 120_000);
});

describe.runIf(hasFuse)('C14: a file system that does not answer', () => {
  test('is left out and named; the rest is stored', async () => {
    fuseMounts.push(await mountFuse(`${folder}/dead`, { files: {}, hangs: true }));
    writeFileSync(`${folder}/z file`, 'here');
    const started = performance.now();
    const source = { probeTimeoutMs: 300 };
    const backup = await backUp(repository, [folder], { source });
    expect(performance.now() - started).toBeLessThan(15_000);
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
      const interrupted = performance.now();
      child.kill('SIGINT');
      expect(String(await once(child.stderr, 'data'))).toContain('interrupted');
      expect(performance.now() - interrupted).toBeLessThan(10_000);
      expect(readdirSync(`${repository}/locks`)).toEqual([]);
      // The kernel keeps the rest of the process until the file system is gone.
      for (const mount of fuseMounts.splice(0)) await mount.unmount();
      const exitCode = child.exitCode ?? (await once(child, 'exit'))[0];
      expect(exitCode).toBe(130);
    },
  );
});

const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** Resolves once `condition` is true. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await systemEnvironment.clock.sleep(50);
}

/** True if a thread of the process waits for a file system of a program. */
function isStuck(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).some(
    (thread) => readFileSync(`/proc/${pid}/task/${thread}/wchan`, 'utf8') === 'request_wait_answer',
  );
}
