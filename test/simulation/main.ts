import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { judge } from './judge.ts';
import { planted } from './planted.ts';
import { runProcesses } from './processes.ts';
import { type Reached, reachTable } from './reach.ts';
import { shrink } from './shrink.ts';
import { simulate, type SimulationOptions, type SimulationResult } from './simulation.ts';

// Times are written with the offset of the zone: what the oracle expects is in this one.
process.env['TZ'] = 'UTC';

// Thousands of errors are made and caught in a seed, and the stack of each costs more than all else of it.
Error.stackTraceLimit = 4;

const usage = `node test/simulation/main.ts [--seed N] [--count N] [--seconds N] [--judge N] [--plant NAME] [--brief] [--log]

Runs seeds one after the other, and tells in how many of them what happened. The last line is JSON with all of it;
failures are told on standard error.

  --seed N      the first seed, default 1
  --count N     how many, default 1; without end with --seconds
  --seconds N   no further seed after so long
  --processes N runs in so many at once; --count is that of each
  --step N      takes every N-th seed
  --judge N     has restic judge what every N-th seed leaves, if it is on the PATH; 0, the default: none
  --plant NAME  a mistake that is to be found: ${[...planted.keys()].join(', ')}
  --brief       tells of a failure in few lines, and does not look for a smaller one
  --log         tells everything that happened`;

function flags(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string', default: '1' },
      count: { type: 'string' },
      seconds: { type: 'string' },
      processes: { type: 'string', default: '1' },
      step: { type: 'string', default: '1' },
      judge: { type: 'string', default: '0' },
      plant: { type: 'string' },
      brief: { type: 'boolean', default: false },
      log: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  }).values;
}

/** What happened in all seeds. */
class Totals {
  runs = 0;
  failures = 0;
  /** The first that failed. */
  failedSeed: number | undefined;
  events = 0;
  days = 0;
  /** Seeds whose repositories restic judged. */
  judged = 0;
  seconds = 0;
  /** In how many seeds. */
  readonly reached: Partial<Record<Reached, number>> = {};
  readonly outcomes: Record<string, number> = {};

  add(result: SimulationResult): void {
    this.runs++;
    this.events += result.eventCount;
    this.days += result.days;
    for (const what of result.reached) this.reached[what] = (this.reached[what] ?? 0) + 1;
    for (const [name, count] of result.outcomes) {
      this.outcomes[name] = (this.outcomes[name] ?? 0) + count;
    }
    if (result.failures.length > 0) this.fail(result.seed);
  }

  fail(seed: number): void {
    this.failures++;
    this.failedSeed ??= seed;
  }
}

/** The lines of a failure: what, how to see it again, and the end of the log. */
async function tell(
  { seed, failures }: SimulationResult,
  options: SimulationOptions,
  isBrief: boolean,
): Promise<string> {
  if (isBrief) return `seed ${seed} failed: ${failures.join('\n')}`;
  const { profile, result } = await shrink(seed, options);
  return [
    `seed ${seed} failed: ${result.failures.join('\n')}`,
    `again: HOLDFAST_SIMULATION_SEED=${seed} npx vitest run test/simulation`,
    `smallest profile that still fails: ${JSON.stringify(profile)}`,
    ...result.notes.slice(-60),
  ].join('\n');
}

/** Undefined for a seed that came to no end: it failed, and the next ones are tried all the same. */
async function attempt(
  seed: number,
  options: SimulationOptions,
  totals: Totals,
): Promise<SimulationResult | undefined> {
  try {
    return await simulate(seed, options);
  } catch (error) {
    totals.runs++;
    totals.fail(seed);
    console.error(`seed ${seed} failed: ${error instanceof Error ? error.stack : String(error)}`);
    return undefined;
  }
}

/** What restic has to say of the repositories. */
function judged({ places, seed }: SimulationResult, totals: Totals): string | undefined {
  totals.judged++;
  for (const place of places) {
    const wrong = judge(place, 'restic');
    if (wrong === undefined) continue;
    totals.fail(seed);
    return `seed ${seed} failed: ${wrong}`;
  }
  return undefined;
}

async function main(args: readonly string[]): Promise<number> {
  const { seed, seconds, plant, help, brief, log, ...rest } = flags(args);
  if (help) {
    console.log(usage);
    return 0;
  }
  if (Number(rest.processes) > 1) return runMany(args, Number(rest.processes), Number(seed));
  const count = Number(rest.count ?? (seconds === undefined ? 1 : Number.POSITIVE_INFINITY));
  const judgeEvery = hasRestic() ? Number(rest.judge) : 0;
  const options = plant === undefined ? {} : { plant: planted.get(plant) ?? unknownPlant(plant) };
  const startMs = performance.now();
  const endMs = startMs + 1000 * Number(seconds ?? Number.POSITIVE_INFINITY);
  const totals = new Totals();
  for (
    let at = Number(seed);
    totals.runs < count && performance.now() < endMs;
    at += Number(rest.step)
  ) {
    const result = await attempt(at, options, totals);
    if (!result) continue;
    totals.add(result);
    if (log) console.error(result.notes.join('\n'));
    if (result.failures.length > 0) {
      if (plant !== undefined) break;
      console.error(await tell(result, options, brief));
    } else if (judgeEvery > 0 && at % judgeEvery === 0) {
      const wrong = judged(result, totals);
      if (wrong !== undefined) console.error(wrong);
    }
  }
  totals.seconds = Math.round(performance.now() - startMs) / 1000;
  totals.days = Math.round(totals.days);
  console.log(reachTable(totals.reached, totals.runs));
  console.log(JSON.stringify(totals));
  return totals.failures > 0 ? 1 : 0;
}

/** The same in several processes. */
async function runMany(args: readonly string[], count: number, seed: number): Promise<number> {
  const startMs = performance.now();
  const totals = await runProcesses(import.meta.filename, { count, seed, args });
  const { reached = {}, runs = 0, failures = 0 } = totals;
  console.log(reachTable(reached as Totals['reached'], Number(runs)));
  const seconds = Math.round(performance.now() - startMs) / 1000;
  console.log(JSON.stringify({ ...totals, seconds }));
  return Number(failures) > 0 ? 1 : 0;
}

function hasRestic(): boolean {
  return spawnSync('restic', ['version']).status === 0;
}

function unknownPlant(name: string): never {
  throw new Error(`there is no mistake "${name}"\n\n${usage}`);
}

process.exitCode = await main(process.argv.slice(2));
