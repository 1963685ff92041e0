import { describeError } from '../../src/base/errors.ts';
import { pseudoRandom, seedsOf } from '../tools/seeds.ts';
import { type Command, type KilledRun, listCalls, mustSucceed, runKilled } from './killed-run.ts';

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

/** Of a sample, restic is asked for one state in so many. */
const resticShare = triesAll ? 1 : 4;

/** For tests that kill a program at many calls. */
export const killTimeoutMs: number = triesAll ? 24 * 3_600_000 : 300_000;

function parseSlice(text: string | undefined): Slice | undefined {
  if (text === undefined || text === '') return undefined;
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

/** A program that was killed. */
export interface Killed {
  readonly command: Command;
  readonly run: KilledRun;
  /** Ask restic, too. */
  readonly withRestic: boolean;
}

/** Calls that are tried when none of the chosen ones was reached. */
const sparesMax = 5;

/** What is killed, and how often. */
export interface KillPlan {
  /** A command of its own for each kill. */
  readonly command: () => Command;
  /** Kills, unless more are asked for. */
  readonly samples: number;
  /** A folder of the test, for logs. */
  readonly log: string;
}

/**
 * Kills a command at each of the chosen calls, and looks at what is left. Goes on after a failure, and says at the end
 * which kills failed. Prints totals as one line of JSON.
 */
export async function killAt(
  title: string,
  { command, samples, log }: KillPlan,
  look: (killed: Killed) => Promise<void>,
): Promise<void> {
  // The first run of a command also fills the runtime's cache of compiled code, which the others do not.
  await mustSucceed(command());
  const points = await listCalls(command(), log);
  const failures: string[] = [];
  let kills = 0;
  const chosen = chosenOf(title, points, samples);
  // A run may go a little differently and never come to a call: others stand by, from the middle on.
  const others = points.slice(points.length >> 1).filter((point) => !chosen.includes(point));
  for (const [nth, point] of [...chosen, ...others].entries()) {
    if (nth >= chosen.length && (kills > 0 || nth >= chosen.length + sparesMax)) break;
    const killed = command();
    const run = await runKilled(killed, point);
    if (run.wasKilled) kills++;
    try {
      await look({ command: killed, run, withRestic: nth % resticShare === 0 });
    } catch (error) {
      failures.push(`killed at ${point.call} ${point.nth}: ${explain(error)}`);
    }
  }
  console.log(
    JSON.stringify({
      suite: 'crash',
      operation: title,
      calls: points.length,
      kills,
      failures: failures.length,
    }),
  );
  if (failures.length > 0) throw new Error(`${title}: ${failures.join('\n')}`);
  if (kills === 0) throw new Error(`${title}: nothing was killed`);
}

function explain(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : describeError(error);
}
