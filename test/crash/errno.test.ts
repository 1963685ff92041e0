import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';

import { contentOf, equalManifests, manifestOf } from '../tools/manifest.ts';
import { describeWith } from '../tools/peers.ts';
import type { ProgramRun } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { CrashBed } from './crash-bed.ts';
import { chosenOf, expectReadable, killTimeoutMs } from './kill-points.ts';
import { type Command, listCalls, mustSucceed, trace, tracerOf } from './killed-run.ts';

const scratch = scratchFolder('errno');
const bed = new CrashBed(scratch);

const markFile = '.holdfast-restoring.part';
const errnos = ['EIO', 'ENOSPC', 'EINTR', 'EAGAIN', 'EMFILE', 'EDQUOT', 'EROFS', 'ENOMEM'] as const;

/** Calls that fail, of those that name or have open what the test made: the runtime makes them, too. */
const calls =
  'openat,pread64,read,readv,preadv,getdents64,statx,newfstatat,fstat,readlinkat,pwrite64,pwritev,fsync,link,unlink,' +
  'rename,renameat2,mkdir,mkdirat,symlinkat,fchmod,chmod,ftruncate,utimensat,fchownat,syncfs,flistxattr';

beforeAll(() => bed.prepare());

/** A command that meets a failing call. */
interface Operation {
  readonly command: () => Command;
  /** What it is to read and write, besides the repository. */
  readonly places: (command: Command) => readonly string[];
  readonly judge: (command: Command, run: ProgramRun) => Promise<void>;
}

const operations: Readonly<Record<string, Operation>> = {
  backup: {
    command: () => ({ repository: bed.copyOf(bed.pristine), args: ['backup', bed.source] }),
    places: () => [bed.source],
    judge: async ({ repository }, { exitCode }) => {
      // Green only over what is whole; with 3 what is missing was named, and the rest is there.
      const snapshots = exitCode === 0 ? [2] : [1, 2];
      await bed.examine(repository, { snapshots, allowsPartial: exitCode === 3 });
    },
  },
  restore: {
    command: () => {
      const target = scratch.fresh('restored');
      mkdirSync(target);
      const args = ['restore', `latest:${bed.source}`, '-t', target];
      return { repository: bed.copyOf(bed.full), args };
    },
    places: ({ args }) => [args.at(-1) ?? ''],
    judge: async ({ repository, args }, { exitCode, errors }) => {
      const target = args.at(-1) ?? '';
      const expected = manifestOf(bed.source);
      if (exitCode === 0) {
        const restored = new Map(manifestOf(target));
        // What is told may stay: it takes nothing from what was restored.
        if (errors.includes('the mark of an unfinished restore')) restored.delete(`/${markFile}`);
        expect(equalManifests(restored, expected)).toBe(true);
      }
      const content = contentOf(bed.source);
      for (const [name, bytes] of contentOf(target)) {
        const isTemporary = /[.](part|half)$/.test(name);
        expect(isTemporary || content.get(name)?.equals(bytes), `${name} is right`).toBe(true);
      }
      await mustSucceed({ repository, args });
      expect(equalManifests(manifestOf(target), expected)).toBe(true);
    },
  },
  check: {
    command: () => ({ repository: bed.copyOf(bed.pristine), args: ['check', '--read-data'] }),
    places: () => [],
    judge: ({ repository }) => bed.examine(repository, { snapshots: [1] }),
  },
};

/** Options that let strace see only calls about these folders and what is in them. */
function only(folders: readonly string[]): string[] {
  return folders
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => [
      folder,
      ...(readdirSync(folder, { recursive: true }) as string[]).map((name) => join(folder, name)),
    ])
    .filter((path) => !/\/data\/[0-9a-f]{2}$/.test(path))
    .flatMap((path) => ['-P', path]);
}

describeWith(['strace'], 'a system call that fails', () => {
  test.each(Object.entries(operations))(
    'during %s is told in a line, and costs nothing that is there',
    async (title, { command, places, judge }) => {
      const listed = command();
      const paths = (of: Command): string[] => only([of.repository, ...places(of)]);
      const points = await listCalls(listed, scratch.fresh('log'), { calls, paths: paths(listed) });
      const failures: string[] = [];
      const all = points.flatMap((point) => errnos.map((errno) => ({ point, errno })));
      const cases = chosenOf(`errno ${title}`, all, 1);
      for (const { point, errno } of cases) {
        const failing = command();
        const inject = `inject=${point.call}:error=${errno}:when=${point.nth}`;
        const how = [
          '-o',
          '/dev/null',
          ...paths(failing),
          '-e',
          `trace=${point.call}`,
          '-e',
          inject,
        ];
        const run = await trace(failing, how);
        try {
          expectReadable(run);
          await judge(failing, run);
        } catch (error) {
          const where = `${errno} of ${point.call} ${point.nth}, exit code ${run.exitCode}`;
          failures.push(`${where}: ${run.errors}${error instanceof Error ? error.stack : ''}`);
        }
        bed.remove(failing.repository);
      }
      const totals = { calls: points.length, runs: cases.length, failures: failures.length };
      console.log(JSON.stringify({ suite: 'errno', operation: title, ...totals }));
      expect(failures).toEqual([]);
      expect(points.length).toBeGreaterThan(10);
    },
    killTimeoutMs,
  );

  test('when output is synced would keep the program from its end: it is not synced', async () => {
    const [said, log] = [scratch.fresh('said'), scratch.fresh('log')];
    const how = ['-o', log, '-P', said, '-e', 'trace=fsync', '-e', 'inject=fsync:error=EIO'];
    const command = { repository: bed.pristine, args: ['--no-lock', 'snapshots'] };
    const { program, args, variables } = tracerOf(command, how);
    const output = openSync(said, 'w');
    const env = { PATH: process.env['PATH'] ?? '', ...variables };
    const stdio = ['ignore', output, output] as const;
    const child = spawn(program, args, { env, stdio: [...stdio] });
    onTestFinished(() => void child.kill('SIGKILL'));
    expect(await once(child, 'exit')).toEqual([0, null]);
    closeSync(output);
    expect(readFileSync(said, 'utf8')).toMatch(/^1 snapshots$/m);
    expect(readFileSync(log, 'utf8')).not.toContain('fsync');
  });
});
