import { availableParallelism } from 'node:os';
import { fuzzTargets } from '../fuzz/targets.ts';

/** What a suite is told. */
export interface SoakOrder {
  readonly seconds: number;
  readonly seed: number;
}

/** A long run of a suite of tests: what to start, and what it counts. */
export interface SoakSuite {
  readonly name: string;
  /** What one run is. */
  readonly counts: string;
  /**
   * The program to start, in the project's folder, with what to add to the environment. It ends by itself after about
   * `seconds`, or when its work is done.
   */
  command(order: SoakOrder): {
    readonly args: readonly string[];
    readonly variables?: Readonly<Record<string, string>>;
  };
  /**
   * Finds in what was printed how many runs there were and how many failed. The exit code speaks as well: a suite that
   * ends with another than 0 has at least one failure.
   */
  totals(output: string): { readonly runs: number; readonly failures: number };
}

/** The last line of a program that tells its totals as JSON. */
function lastLineTotals(output: string): { readonly runs: number; readonly failures: number } {
  const line = output.trim().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) return { runs: 0, failures: 1 };
  return JSON.parse(line) as { readonly runs: number; readonly failures: number };
}

/** Passed and failed tests of a vitest run. */
function testTotals(output: string): { readonly runs: number; readonly failures: number } {
  const found = /(\d+) passed, (\d+) failed/.exec(output);
  if (!found) return { runs: 0, failures: 1 };
  const failures = Number(found[2]);
  return { runs: Number(found[1]) + failures, failures };
}

/**
 * Runs of a program, which tests print as lines of JSON: those killed, or met by a fault. A test that failed otherwise
 * counts as a failure, too.
 */
function runTotals(output: string): { readonly runs: number; readonly failures: number } {
  const lines = [...output.matchAll(/^\{"suite":.*\}$/gm)].map(
    ([line]) => JSON.parse(line) as Partial<Record<'kills' | 'runs' | 'failures', number>>,
  );
  const runs = lines.reduce((sum, line) => sum + (line.runs ?? line.kills ?? 0), 0);
  const failures = lines.reduce((sum, line) => sum + (line.failures ?? 0), 0);
  const tests = testTotals(output);
  return { runs, failures: Math.max(failures, tests.failures, runs === 0 ? 1 : 0) };
}

const vitest = 'node_modules/vitest/vitest.mjs';

/** Tests in their long form. */
function longTests(
  name: string,
  paths: readonly string[],
  variables: Readonly<Record<string, string>>,
): SoakSuite {
  return {
    name,
    counts: 'tests',
    command: ({ seed }) => ({
      args: [vitest, 'run', '--testTimeout=36000000', ...paths],
      variables: { HOLDFAST_TEST_SEED: String(seed), ...variables },
    }),
    totals: testTotals,
  };
}

/** Tests in their long form that count what they do to a program. */
function longRuns(
  name: string,
  paths: readonly string[],
  variables: Readonly<Record<string, string>>,
): SoakSuite {
  return { ...longTests(name, paths, variables), counts: 'runs', totals: runTotals };
}

/** Kills, errors and interrupts at every call of some commands: all of a file of tests, or those of one command. */
function crashTests(name: string, file: string, title?: string): SoakSuite {
  const chosen = title === undefined ? [] : ['-t', title];
  return longRuns(name, [`test/crash/${file}.test.ts`, ...chosen], { HOLDFAST_CRASH: 'all' });
}

/** Faults of storages in every operation, on every store that they can meet. */
function storeFaults(name: string, ...flags: readonly string[]): SoakSuite {
  return {
    name,
    counts: 'runs',
    command: ({ seconds, seed }) => ({
      args: ['test/store-faults/main.ts', `--seconds=${seconds}`, `--seed=${seed}`, ...flags],
    }),
    totals: lastLineTotals,
  };
}

/** Every suite that can run for long. A further one is a further row. */
export const soakSuites: readonly SoakSuite[] = [
  ...fuzzTargets.map(({ name }) => ({
    name: `fuzz-${name}`,
    counts: 'inputs',
    command: ({ seconds, seed }: SoakOrder) => ({
      // A document that blows up in memory ends the process instead of the machine.
      args: ['--max-old-space-size=1024', 'test/fuzz/main.ts', name, String(seconds), String(seed)],
    }),
    totals: lastLineTotals,
  })),
  {
    name: 'simulation',
    counts: 'seeds',
    command: ({ seconds, seed }: SoakOrder) => ({
      args: [
        'test/simulation/main.ts',
        `--processes=${availableParallelism()}`,
        `--seconds=${seconds}`,
        `--seed=${seed}`,
        '--judge=100',
      ],
    }),
    totals: lastLineTotals,
  },
  {
    name: 'model',
    counts: 'meetings',
    command: () => ({ args: ['--max-old-space-size=12000', 'test/model/main.ts'] }),
    totals: lastLineTotals,
  },
  longTests('hostile', ['test/hostile'], { HOLDFAST_HOSTILE: 'all' }),
  crashTests('crash-init', 'crash-keys', 'during init'),
  crashTests('crash-keys', 'crash-keys', 'during key'),
  crashTests('crash-backup', 'crash', 'backup'),
  crashTests('crash-tag', 'crash', 'during tag'),
  crashTests('crash-forget', 'crash', 'during forget'),
  crashTests('crash-copy', 'crash', 'during copy'),
  crashTests('crash-parity', 'crash', 'during parity'),
  crashTests('crash-prune', 'crash-prune'),
  crashTests('crash-repair', 'crash-repair'),
  crashTests('crash-rewrite', 'crash-rewrite', 'during rewrite'),
  crashTests('crash-recover', 'crash-rewrite', 'during recover'),
  crashTests('crash-migrate', 'crash-rewrite', 'during migrate'),
  crashTests('crash-restore', 'crash-restore'),
  crashTests('crash-errno', 'errno'),
  crashTests('crash-interrupts', 'interrupts'),
  longRuns('faults', ['test/faults'], { HOLDFAST_FAULTS: 'all' }),
  storeFaults('store-faults'),
  longRuns('killed-server', ['test/store-faults/killed-server.test.ts'], {
    HOLDFAST_OUTAGE_MS: '30000',
  }),
  storeFaults('store-faults-radosgw', '--radosgw'),
  crashTests('crash-stopped', 'stopped', 'slept'),
  crashTests('crash-init-race', 'stopped', 'create one repository'),
  longTests('interop', ['test/interop'], { HOLDFAST_TEST_SCALE: '20' }),
  longTests('damage', ['test/damage'], { HOLDFAST_TEST_SCALE: '20' }),
  longRuns('damage-matrix', ['test/damage/matrix.test.ts'], { HOLDFAST_DAMAGE: 'all' }),
  longRuns('damage-bits', ['test/damage/every-bit.test.ts'], { HOLDFAST_DAMAGE: 'all' }),
];
