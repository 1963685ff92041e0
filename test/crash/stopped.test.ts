import { rmSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, test } from 'vitest';

import { listSnapshots } from '../tools/engine.ts';
import { describeWith, requirePeer } from '../tools/peers.ts';
import type { ProgramRun } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { CrashBed, newPassword, StatesAsked } from './crash-bed.ts';
import { chosenOf, expectReadable, killTimeoutMs } from './kill-points.ts';
import {
  type Command,
  type KillPoint,
  listCalls,
  mustSucceed,
  run,
  runAgain,
} from './killed-run.ts';
import { paused, type PausedRun } from './paused-run.ts';

const scratch = scratchFolder('stopped');
const bed = new CrashBed(scratch);
const dayMs = 24 * 3_600_000;
/** Of what has to wait for others, too. */
const runMsMax = 240_000;

/** Repository without the newest snapshot, whose data is still there: a backup of the folder leans on it. */
let leaning = '';

beforeAll(async () => {
  await bed.prepare();
  leaning = bed.copyOf(bed.full);
  const newest = (await listSnapshots(leaning)).at(-1);
  await mustSucceed({ repository: leaning, args: ['forget', newest?.id ?? ''] });
});

/** Stops a command at each of the chosen calls. Prints totals as one line of JSON. */
async function stopAt(
  title: string,
  plan: {
    readonly points: readonly KillPoint[];
    readonly samples: number;
    readonly stop: (point: KillPoint) => Promise<PausedRun>;
  },
): Promise<void> {
  const failures: string[] = [];
  let runs = 0;
  for (const point of chosenOf(title, plan.points, plan.samples)) {
    try {
      if ((await plan.stop(point)).wasPaused) runs++;
    } catch (error) {
      const text = error instanceof Error ? error.stack : String(error);
      failures.push(`stopped at ${point.call} ${point.nth}: ${text}`);
    }
  }
  const totals = { calls: plan.points.length, runs, failures: failures.length };
  console.log(JSON.stringify({ suite: 'stopped', operation: title, ...totals }));
  expect(failures).toEqual([]);
  expect(runs).toBeGreaterThan(0);
}

describeWith(['strace'], 'a process that is stopped, and goes on days later', () => {
  requirePeer('restic');

  // When only the process stood still, its clocks tell it nothing once it goes on; when the machine slept, they do.
  test.each(['a process', 'a machine'])(
    'as %s that slept: a backup whose data was pruned meanwhile stores it again, or no snapshot',
    async (kind) => {
      const command = (): Command => {
        const clock = scratch.fresh('clock');
        writeFileSync(clock, '0');
        return { repository: bed.copyOf(leaning), args: ['backup', bed.source], clock };
      };
      // Names are given once something is whole: lock, packs, index, snapshot.
      const points = await listCalls(command(), scratch.fresh('log'), { calls: 'link,unlink' });
      const title = `backup of ${kind} that slept`;
      const stop = async (point: KillPoint): Promise<PausedRun> => {
        const stopped = command();
        const { repository, clock = '' } = stopped;
        const ended = await paused(stopped, point, {
          runMsMax,
          meanwhile: async () => {
            const prunes = scratch.fresh('clock');
            await pruneTwice(repository, prunes);
            if (kind === 'a machine') writeFileSync(clock, String(4 * dayMs));
          },
        });
        expectReadable(ended);
        const isDone = ended.exitCode === 0;
        await bed.examine(repository, { snapshots: isDone ? [2] : [1, 2], withRestic: true });
        await mustSucceed({ repository, args: stopped.args });
        await bed.examine(repository, { snapshots: isDone ? [3] : [2, 3] });
        bed.remove(repository);
        return ended;
      };
      await stopAt(title, { points, samples: 1, stop });
    },
    killTimeoutMs,
  );
});

/** Real processes, on another day: they find the lock of one who was not heard of for two days, mark, and delete. */
async function pruneTwice(repository: string, clock: string): Promise<void> {
  for (const [days, args] of [
    [2, ['unlock']],
    [2, ['prune', '--max-unused', '0']],
    [4, ['prune', '--max-unused', '0']],
  ] as const) {
    writeFileSync(clock, String(days * dayMs));
    const { exitCode, output, errors } = await run({ repository, args, clock });
    expect(exitCode, `${args.join(' ')}: ${output}${errors}`).toBe(0);
  }
  rmSync(clock);
}

function first(): Command {
  return { repository: bed.fresh('repository'), args: ['init'] };
}

/** Restic is asked once about repositories that are alike. */
const asked = new StatesAsked();

/** @param runs of the first and the new password */
async function judgeInits(repository: string, runs: readonly ProgramRun[]): Promise<void> {
  const makers = runs.filter(({ exitCode }) => exitCode === 0);
  const said = runs.map(({ exitCode, errors }) => `${exitCode}: ${errors}`).join('\n');
  expect(makers.length, said).toBeLessThanOrEqual(1);
  for (const [nth, { exitCode, errors }] of runs.entries()) {
    if (exitCode !== 0) {
      expect(errors).toMatch(/^Fatal: /m);
      continue;
    }
    const opener = nth === 0 ? {} : { password: newPassword };
    await bed.examine(repository, { snapshots: [0], withRestic: asked, ...opener });
    await mustSucceed({ repository, args: ['backup', bed.source], ...opener });
    await bed.examine(repository, { snapshots: [1], withRestic: asked, ...opener });
  }
  bed.remove(repository);
}

describeWith(['strace'], 'two that create one repository', () => {
  requirePeer('restic');

  test(
    'one while the other stands still: there is one repository, of who says that he made it',
    async () => {
      const points = await listCalls(first(), scratch.fresh('log'));
      const stop = async (point: KillPoint): Promise<PausedRun> => {
        const stopped = first();
        const { repository } = stopped;
        const said: ProgramRun[] = [];
        const ended = await paused(stopped, point, {
          runMsMax,
          meanwhile: async () => {
            const other = { repository, args: ['init'], password: newPassword };
            said.push(await runAgain(other));
          },
        });
        expectReadable(ended);
        await judgeInits(repository, [ended, ...said]);
        return ended;
      };
      await stopAt('init beside init', { points, samples: 2, stop });
    },
    killTimeoutMs,
  );

  test(
    'at the same time: there is one repository, of who says that he made it',
    async () => {
      const rounds = chosenOf(
        'init at once',
        Array.from({ length: 20 }, (_, round) => round),
        1,
      );
      for (const _ of rounds) {
        const repository = bed.fresh('repository');
        const both = [undefined, newPassword].map((password) =>
          run({ repository, args: ['init'], ...(password ? { password } : {}) }),
        );
        await judgeInits(repository, await Promise.all(both));
      }
    },
    killTimeoutMs,
  );
});
