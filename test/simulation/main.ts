import { parseArgs } from 'node:util';
import { planted } from './planted.ts';
import { shrink } from './shrink.ts';
import { type Reached, reachTable } from './reach.ts';
import { simulate, type SimulationOptions } from './simulation.ts';

// Times are written with the offset of the zone: what the oracle expects is in this one.
process.env['TZ'] = 'UTC';

const usage = `node test/simulation/main.ts [--seed N] [--count N] [--seconds N] [--plant NAME] [--log]

Runs seeds one after the other. The last line is JSON with what happened; failures are told on standard error.

  --seed N      the first seed, default 1
  --count N     how many, default 1; without end with --seconds
  --seconds N   no further seed after so long
  --plant NAME  a mistake that is to be found: ${[...planted.keys()].join(', ')}
  --log         tells everything that happened`;

interface Totals {
  runs: number;
  failures: number;
  events: number;
  days: number;
  /** The first that failed. */
  failedSeed?: number;
}

function flags(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string', default: '1' },
      count: { type: 'string' },
      seconds: { type: 'string' },
      plant: { type: 'string' },
      log: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  }).values;
}

/** The lines of a failure: what, how to see it again, and the end of the log. */
async function tell(seed: number, options: SimulationOptions): Promise<string> {
  const { profile, result } = await shrink(seed, options);
  return [
    `seed ${seed} failed: ${result.failures.join('\n')}`,
    `again: HOLDFAST_SIMULATION_SEED=${seed} npx vitest run test/simulation`,
    `smallest profile that still fails: ${JSON.stringify(profile)}`,
    ...result.notes.slice(-60),
  ].join('\n');
}

async function main(args: readonly string[]): Promise<number> {
  const { seed, seconds, plant, log, help, ...rest } = flags(args);
  if (help) {
    console.log(usage);
    return 0;
  }
  const count = Number(rest.count ?? (seconds === undefined ? 1 : Number.POSITIVE_INFINITY));
  const options = plant === undefined ? {} : { plant: planted.get(plant) ?? unknownPlant(plant) };
  const startMs = performance.now();
  const endMs = startMs + 1000 * Number(seconds ?? Number.POSITIVE_INFINITY);
  const totals: Totals = { runs: 0, failures: 0, events: 0, days: 0 };
  const outcomes: Record<string, number> = {};
  const reached: Partial<Record<Reached, number>> = {};
  for (let at = Number(seed); totals.runs < count && performance.now() < endMs; at++) {
    const result = await simulate(at, options);
    totals.runs++;
    totals.events += result.eventCount;
    totals.days += result.days;
    for (const [name, n] of result.outcomes) outcomes[name] = (outcomes[name] ?? 0) + n;
    for (const what of result.reached) reached[what] = (reached[what] ?? 0) + 1;
    if (log) console.error(result.notes.join('\n'));
    if (result.failures.length === 0) continue;
    totals.failures++;
    totals.failedSeed ??= at;
    if (plant !== undefined) break;
    console.error(await tell(at, options));
  }
  console.log(reachTable(reached, totals.runs));
  const took = Math.round(performance.now() - startMs) / 1000;
  console.log(
    JSON.stringify({ ...totals, days: Math.round(totals.days), seconds: took, reached, outcomes }),
  );
  return totals.failures > 0 ? 1 : 0;
}

function unknownPlant(name: string): never {
  throw new Error(`there is no mistake "${name}"\n\n${usage}`);
}

process.exitCode = await main(process.argv.slice(2));
