import { expect } from 'vitest';

import { describeError } from '../../src/base/errors.ts';
import { StatesAsked } from './crash-bed.ts';
import { countsCalls, keepCalls, knownCalls } from './known-calls.ts';
import { pseudoRandom, seedsOf } from '../tools/seeds.ts';
import type { ProgramRun } from '../tools/run-program.ts';
import {
  type Command,
  type Disturbance,
  type DisturbedRun,
  type KillPoint,
  listCalls,
  runDisturbed,
} from './killed-run.ts';

/** A part of all kills: those whose number leaves `index` when divided by `count`. */
interface Slice {
  readonly index: number;
  readonly count: number;
}

/**
 * What `HOLDFAST_CRASH` asks for: `all`, or `3/8` for the third of eight parts of it, which may run at other times or
 * beside one another. Without it a sample is taken.
 */
const slice: Slice | undefined = parseSlice(process.env['HOLDFAST_CRASH']);

/** True if calls are killed one after the other, not a sample of them. */
export const triesAll: boolean = slice !== undefined;

/** Of samples, restic is asked for one in so many: starting it often takes longer than all else. */
const resticShare = triesAll ? 1 : 4;

/** For tests that kill a program at many calls. */
export const killTimeoutMs: number = triesAll ? 24 * 3_600_000 : 300_000;

function parseSlice(text: string | undefined): Slice | undefined {
  if (text === undefined || text === '' || text === 'write') return undefined;
  if (text === 'all') return { index: 0, count: 1 };
  const [, number, count] = /^([1-9]\d{0,3})\/([1-9]\d{0,3})$/.exec(text) ?? [];
  if (!number || !count || Number(number) > Number(count)) {
    throw new Error(`HOLDFAST_CRASH is neither "all" nor a part such as "3/8": ${text}`);
  }
  return { index: Number(number) - 1, count: Number(count) };
}

/** Those of the slice, where one is asked for. */
function pointsOfSlice<T>(points: readonly T[]): T[] | undefined {
  return slice && points.filter((_, number) => number % slice.count === slice.index);
}

/** The items of the slice; or `samples` of them, which follow from the fixed seed and the printed one in turn. */
export function chosenOf<T>(title: string, items: readonly T[], samples: number): T[] {
  const ofSlice = pointsOfSlice(items);
  if (ofSlice) return ofSlice;
  const seeds = seedsOf(title);
  const chosen = new Set<T>();
  for (let i = 0; i < samples; i++) {
    const numbers = new Uint32Array(pseudoRandom(4 * samples, seeds[i % 2] ?? 1).buffer);
    const item = items[(numbers[i] ?? 0) % items.length];
    if (item !== undefined) chosen.add(item);
  }
  return [...chosen];
}

/** A program that was killed, or that met an error. */
export interface Disturbed {
  readonly command: Command;
  readonly run: DisturbedRun;
  /** It ended well all the same. */
  readonly isDone: boolean;
  /** Ask restic, too: once about each state that runs of this command leave. */
  readonly withRestic: false | StatesAsked;
}

/** Calls that are tried when none of the chosen ones was reached. */
const sparesMax = 5;

/** What is killed, and how often. */
export interface KillPlan {
  /** A command of its own for each run. */
  readonly command: () => Command;
  /** Kills, unless more are asked for. */
  readonly samples: number;
  /** Calls that fail, unless more are asked for; without it, none is made to fail. */
  readonly errors?: number;
  /** A folder of the test, for logs. */
  readonly log: string;
}

interface DisturbedCall {
  readonly point: KillPoint;
  readonly disturbance: Disturbance;
}

/** Runs of each file of tests that restic may be asked about: files share processes. */
const askable = new Map<string, number>();

/** Of the runs of a file, restic is asked about the first, and then about its share. */
function isAskable(): boolean {
  const { testPath = '' } = expect.getState();
  const number = askable.get(testPath) ?? 0;
  askable.set(testPath, number + 1);
  return number % resticShare === 0;
}

/**
 * Kills a command at each of the chosen calls, and has calls fail, and looks at what is left. Goes on after a failure, and
 * says at the end which runs failed. Prints totals as one line of JSON.
 */
export async function killAt(
  title: string,
  plan: KillPlan,
  look: (disturbed: Disturbed) => Promise<void>,
): Promise<void> {
  if (countsCalls) return keepCalls(title, await listCalls(plan.command(), plan.log));
  const known = slice ? undefined : knownCalls(title);
  let sums = known && (await disturbAll(title, { plan, points: known }, look));
  if (!sums || sums.kills === 0) {
    const points = await listCalls(plan.command(), plan.log);
    sums = await disturbAll(title, { plan, points }, look);
  }
  const { failures, ...counts } = sums;
  const totals = { ...counts, runs: counts.kills + counts.errors, failures: failures.length };
  console.log(JSON.stringify({ suite: 'crash', operation: title, ...totals }));
  if (failures.length > 0) throw new Error(`${title}: ${failures.join('\n')}`);
  if (counts.calls === 0 || (!slice && counts.kills === 0)) {
    throw new Error(`${title}: nothing was killed`);
  }
}

/** What came of some runs. */
interface Sums {
  readonly calls: number;
  readonly kills: number;
  readonly errors: number;
  /** States that restic was asked about. */
  readonly statesAsked: number;
  readonly failures: readonly string[];
}

async function disturbAll(
  title: string,
  { plan, points }: { readonly plan: KillPlan; readonly points: readonly KillPoint[] },
  look: (disturbed: Disturbed) => Promise<void>,
): Promise<Sums> {
  const failures: string[] = [];
  let [kills, errors] = [0, 0];
  const asked = new StatesAsked();
  const { chosen, spares } = callsOf(title, points, plan);
  for (const [nth, { disturbance, point }] of [...chosen, ...spares].entries()) {
    if (nth >= chosen.length && kills > 0) break;
    const command = plan.command();
    const run = await runDisturbed(command, point, disturbance);
    if (run.wasDisturbed && disturbance === 'KILL') kills++;
    if (run.wasDisturbed && disturbance !== 'KILL') errors++;
    try {
      if (disturbance !== 'KILL') expectReadable(run);
      const withRestic = isAskable() && asked;
      await look({ command, run, isDone: run.exitCode === 0, withRestic });
    } catch (error) {
      const where = `${disturbance} at ${point.call} ${point.nth}, exit code ${run.exitCode}`;
      failures.push(`${where}: ${run.errors}\n${explain(error)}`);
    }
  }
  return { calls: points.length, kills, errors, statesAsked: asked.count, failures };
}

/** What is disturbed, and what stands by: a run may go a little differently and never come to a call. */
function callsOf(
  title: string,
  points: readonly KillPoint[],
  { samples, errors }: KillPlan,
): { readonly chosen: readonly DisturbedCall[]; readonly spares: readonly DisturbedCall[] } {
  const killed = points.map((point) => ({ point, disturbance: 'KILL' }) as const);
  const failing =
    errors === undefined
      ? []
      : points.flatMap((point) =>
          (['EIO', 'ENOSPC'] as const).map((disturbance) => ({ point, disturbance })),
        );
  if (slice) return { chosen: chosenOf(title, [...killed, ...failing], 0), spares: [] };
  const kills = chosenOf(title, killed, samples);
  const others = killed.slice(killed.length >> 1).filter((call) => !kills.includes(call));
  return {
    chosen: [...kills, ...chosenOf(title, failing, errors ?? 0)],
    spares: others.slice(0, sparesMax),
  };
}

/** Throws unless a run ended with an exit code that the table of errors knows, and said why in lines, without a stack. */
export function expectReadable({ exitCode, errors, signal }: ProgramRun): void {
  if (signal !== null || exitCode === null) throw new Error(`ended by ${signal}`);
  if (![0, 1, 3, 10, 11, 12].includes(exitCode)) throw new Error(`exit code ${exitCode}`);
  if (/^\s+at |internal check failed|node:internal/m.test(errors)) throw new Error('a stack');
  if (exitCode !== 0 && errors === '') throw new Error('it failed and did not say why');
}

function explain(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : describeError(error);
}
