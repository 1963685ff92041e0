import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';

import { describeWith } from '../tools/peers.ts';
import type { ProgramRun } from '../tools/run-program.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { CrashBed, namesIn } from './crash-bed.ts';
import { chosenOf, killTimeoutMs } from './kill-points.ts';
import { interrupted } from './paused-run.ts';
import { changingCalls, type Command, listCalls, mustSucceed, trace } from './killed-run.ts';

const scratch = scratchFolder('interrupts');
const bed = new CrashBed(scratch);
const calls = `${changingCalls},pread64`;

beforeAll(() => bed.prepare());

/** A command that is interrupted. */
interface Operation {
  readonly command: () => Command;
  /** How many snapshots there may be afterwards. */
  readonly snapshots: readonly number[];
  /** How it ends when it is given again. */
  readonly again: 'succeeds' | 'exists';
}

function on(from: string, args: readonly string[]): () => Command {
  return () => ({ repository: bed.copyOf(from), args });
}

const operations: Readonly<Record<string, Operation>> = {
  init: {
    command: () => ({ repository: bed.fresh('repository'), args: ['init'] }),
    snapshots: [0],
    again: 'exists',
  },
  backup: { command: on(bed.empty, ['backup', bed.source]), snapshots: [0, 1], again: 'succeeds' },
  restore: {
    command: () => on(bed.pristine, ['restore', 'latest', '-t', scratch.fresh('restored')])(),
    snapshots: [1],
    again: 'succeeds',
  },
  check: { command: on(bed.pristine, ['check', '--read-data']), snapshots: [1], again: 'succeeds' },
};

/** No lock, no file that was being written. */
function expectNothingLeft(repository: string): void {
  if (!existsSync(join(repository, 'locks'))) return;
  expect(readdirSync(join(repository, 'locks'))).toEqual([]);
  const all = readdirSync(repository, { recursive: true }) as string[];
  expect(all.filter((name) => name.includes('-tmp-'))).toEqual([]);
}

/** A run that was ended before it could do anything. */
const nothingDone: Partial<ProgramRun> = { exitCode: null, output: '', errors: '' };

async function judge(
  stopped: Command,
  run: ProgramRun,
  { snapshots, again }: Pick<Operation, 'snapshots' | 'again'>,
): Promise<void> {
  const { repository } = stopped;
  // It may have been all but done, or not have begun: then the signal does what it does by itself.
  if (run.signal === null) expect([0, 130]).toContain(run.exitCode);
  else expect(run).toMatchObject(nothingDone);
  if (run.exitCode === 130) expect(run.errors).toMatch(/^Fatal: interrupted\n$/m);
  expect(run.errors).not.toMatch(/^\s+at /m);
  expectNothingLeft(repository);
  const isThere = existsSync(join(repository, 'config'));
  if (isThere) await bed.examine(repository, { snapshots });
  if (!isThere || again === 'succeeds') await mustSucceed(stopped);
}

describeWith(['strace'], 'an interrupt', () => {
  test.each(Object.entries(operations))(
    'during %s ends it in order',
    async (title, { command, snapshots, again }) => {
      const points = await listCalls(command(), scratch.fresh('log'), { calls });
      const signals = ['SIGINT', 'SIGTERM'] as const;
      const all = points.flatMap((point) => signals.map((signal) => ({ point, signal })));
      const failures: string[] = [];
      const wanted = chosenOf(`interrupted ${title}`, all, 1);
      for (const { point, signal } of wanted) {
        const stopped = command();
        const run = await interrupted(stopped, point, signal);
        try {
          await judge(stopped, run, { snapshots, again });
        } catch (error) {
          const text = error instanceof Error ? error.stack : String(error);
          failures.push(`${signal} at ${point.call} ${point.nth}: ${run.errors}${text}`);
        }
        bed.remove(stopped.repository);
      }
      const totals = { calls: points.length, runs: wanted.length, failures: failures.length };
      console.log(JSON.stringify({ suite: 'interrupts', operation: title, ...totals }));
      expect(failures).toEqual([]);
    },
    killTimeoutMs,
  );

  test('SIGHUP, with which restic asks who is alive, ends nothing', async () => {
    const command = on(bed.empty, ['backup', bed.source])();
    const run = await interrupted(command, { call: 'link', nth: 2 }, 'SIGHUP');
    expect(run).toMatchObject({ exitCode: 0, errors: '' });
    await bed.examine(command.repository, { snapshots: [1] });
  });

  test('keeps packs that are stored, and the next run stores only the rest', async () => {
    const args = ['--json', 'backup', '--pack-size', '4', bed.large];
    const command = on(bed.empty, args);
    const whole = command();
    const { added: wholeBytes } = summaryOf(await traced(whole));
    // The first link is that of the lock; each pack makes one.
    const stopped = command();
    const run = await interrupted(stopped, { call: 'link', nth: 2 }, 'SIGINT');
    expect(run.exitCode).toBe(130);
    const { repository } = stopped;
    const packs = (readdirSync(join(repository, 'data'), { recursive: true }) as string[]).filter(
      (name) => /[0-9a-f]{64}$/.test(name),
    );
    expect(packs.length).toBeGreaterThan(0);
    expect(namesIn(repository, 'index')).toHaveLength(1);
    // Nothing at all is left to do where the disk was so slow that all packs were on their way when the first was stored.
    const { added } = summaryOf(await traced(stopped));
    expect(added).toBeLessThan(wholeBytes / 2 + 1_000_000);
    await bed.examine(repository, { snapshots: [1] });
  });
});

function traced(command: Command): Promise<ProgramRun> {
  return trace(command, ['-o', '/dev/null', '-e', 'trace=link']);
}

/** Bytes that a backup stored. */
function summaryOf({ output }: ProgramRun): { readonly added: number } {
  const line = output.split('\n').find((text) => text.includes('"message_type":"summary"')) ?? '';
  const { data_added: added } = JSON.parse(line) as { data_added: number };
  return { added };
}
