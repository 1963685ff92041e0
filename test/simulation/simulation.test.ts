import { availableParallelism } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { requirePeer } from '../tools/peers.ts';
import { type ProgramRun, runProgram } from '../tools/run-program.ts';
import { youngSpace } from './processes.ts';
import { rarelyReached, reachableNames } from './reach.ts';

/** Seeds of a run of all tests, always the same: `npm run soak -- simulation` takes new ones. */
const seedCount = 300;
/** So many seeds leave a repository that restic judges. */
const judgedCount = 4;
const main = path.join(import.meta.dirname, 'main.ts');
const replayed = process.env['HOLDFAST_SIMULATION_SEED'];
const tenMinutesMs = 600_000;
const restic = requirePeer('restic');

interface Totals {
  readonly runs: number;
  readonly failures: number;
  readonly judged: number;
  readonly failedSeed?: number;
  readonly reached: Readonly<Record<string, number>>;
  readonly outcomes: Readonly<Record<string, number>>;
}

function start(...args: readonly string[]): Promise<ProgramRun> {
  // Each process would strip the types of the whole program anew, for a second.
  const { NODE_COMPILE_CACHE = '' } = process.env;
  return runProgram(process.execPath, [youngSpace, main, ...args], {
    variables: { NODE_COMPILE_CACHE },
  });
}

function totalsOf({ output, errors }: ProgramRun): Totals {
  const line = output.trim().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) throw new Error(`the simulator broke: ${errors}`);
  return JSON.parse(line) as Totals;
}

/** Runs `count` seeds from `first` on, on all processors. */
async function runSeeds(first: number, count: number): Promise<Totals[]> {
  const processCount = Math.min(2, availableParallelism());
  const each = Math.ceil(count / processCount);
  const judged =
    restic === undefined ? [] : ['--judge', String(Math.floor((2 * each) / judgedCount))];
  const runs = await Promise.all(
    Array.from({ length: processCount }, (_, i) =>
      start('--seed', String(first + i * each), '--count', String(each), ...judged),
    ),
  );
  for (const run of runs) expect(run.errors).toBe('');
  return runs.map(totalsOf);
}

test.skipIf(replayed !== undefined)(
  'loses nothing, whatever happens',
  async () => {
    const totals = await runSeeds(1, seedCount);
    const sum = (of: (each: Totals) => number | undefined): number =>
      totals.reduce((before, each) => before + (of(each) ?? 0), 0);
    // A simulation in which little happens finds nothing.
    expect(sum(({ runs }) => runs)).toBe(seedCount);
    expect(sum(({ outcomes }) => outcomes['backup: complete'])).toBeGreaterThan(5 * seedCount);
    expect(sum(({ outcomes }) => outcomes['check: sound'])).toBeGreaterThan(seedCount);
    const unreached = reachableNames
      .filter((name) => !rarelyReached.has(name))
      .filter((name) => sum(({ reached }) => reached[name]) === 0);
    expect(unreached).toEqual([]);
    expect(sum(({ reached }) => reached['deleted'])).toBeGreaterThan(0.45 * seedCount);
    expect(sum(({ reached }) => reached['deletedBeside'])).toBeGreaterThan(0.1 * seedCount);
    if (restic !== undefined) expect(sum(({ judged }) => judged)).toBeGreaterThanOrEqual(2);
  },
  tenMinutesMs,
);

test.runIf(replayed !== undefined)(
  `seed ${replayed}`,
  async () => {
    const run = await start('--seed', String(replayed), '--log');
    console.log(run.errors);
    expect(totalsOf(run).failures).toBe(0);
  },
  tenMinutesMs,
);

test(
  'a seed gives the same each time',
  async () => {
    const [one, two] = await Promise.all([1, 2].map(() => start('--seed', '77', '--log')));
    expect(one?.errors).not.toBe('');
    expect(one?.errors).toBe(two?.errors);
  },
  tenMinutesMs,
);

// The first seed, and how many more it may take to find a mistake: it ends with the first that does. Seeds begin a little
// before one that does.
test.each([
  ['index-last', 1, 1],
  ['flipped-pack', 1, 1],
  ['not-durable', 1, 80],
  ['no-locks', 8, 30],
  ['no-proof', 1, 60],
  ['no-grace', 12, 40],
  ['early-key', 16, 80],
  ['blind-check', 1, 40],
])(
  'finds the planted mistake %s in a seed from %i on, within %i',
  async (name, first, count) => {
    const run = await start('--plant', name, '--seed', String(first), '--count', String(count));
    expect(totalsOf(run).failures).toBe(1);
  },
  tenMinutesMs,
);
