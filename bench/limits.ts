// npm run bench:limits [-- NAME ...]: what is not compared with another program: start-up, and very large indexes.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, type Measured, measure, median } from './measure.ts';

interface Limit {
  readonly name: string;
  readonly title: string;
  /** Absent: only the memory counts. */
  readonly secondsMax?: number;
  readonly peakBytesMax?: number;
  readonly run: () => Promise<readonly Measured[]>;
}

interface Result extends Omit<Limit, 'run'> {
  readonly measured: readonly Measured[];
}

const here = dirname(fileURLToPath(import.meta.url));
const program = join(dirname(here), 'bin/holdfast');
const largeIndexBytesMax = 900 << 20;
const pruneBytesMax = 700 << 20;
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'holdfast-bench-'));
const cache = join(folder, 'cache');
/** Repositories that were made, by what made them. */
const made = new Map<string, string>();

const limits: readonly Limit[] = [
  {
    name: 'start',
    title: 'start of "holdfast version"',
    secondsMax: 0.12,
    run: () => repeat({ program, args: ['version'], environment: {} }, 9),
  },
  {
    name: 'index',
    title: 'index of 10,000,000 blobs, cold',
    secondsMax: 15,
    peakBytesMax: largeIndexBytesMax,
    run: async () => repeat(script('open-index.ts', await largeIndex()), 3),
  },
  {
    name: 'index-cached',
    title: 'index of 10,000,000 blobs, from the cache',
    secondsMax: 2,
    peakBytesMax: largeIndexBytesMax,
    run: async () => {
      const command = script('open-index.ts', await largeIndex(), cache);
      mkdirSync(cache);
      await measure(command);
      return repeat(command, 3);
    },
  },
  {
    name: 'prune',
    title: 'prune --instant of 5,000,000 blobs, half of them unused in every pack',
    peakBytesMax: pruneBytesMax,
    run: () => prune('--instant'),
  },
  {
    name: 'prune-marks',
    title: 'prune of the same in two phases, the first of them',
    peakBytesMax: pruneBytesMax,
    run: () => prune(),
  },
];

process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.on('SIGINT', () => process.exit(130));
const names = process.argv.slice(2);
const chosen = limits.filter(({ name }) => names.length === 0 || names.includes(name));
if (chosen.length === 0 || names.some((name) => !limits.some((limit) => limit.name === name))) {
  console.error(`no such limit; there are: ${limits.map(({ name }) => name).join(', ')}`);
  process.exit(1);
}
const results: Result[] = [];
for (const { run, ...limit } of chosen) {
  const result = { ...limit, measured: await run() };
  report(result);
  results.push(result);
}
const output = join(here, 'results');
mkdirSync(output, { recursive: true });
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
const date = new Date().toISOString().slice(0, 10);
writeFileSync(
  join(output, names.length === 0 ? 'limits.json' : `limits-${names.join('-')}.json`),
  `${JSON.stringify({ date, machine, limits: results }, undefined, 2)}\n`,
);

/** Folder of a repository with an index of 10 million blobs and nothing else. */
function largeIndex(): Promise<string> {
  return once('large-index', 'make-index.ts', '10000000');
}

/**
 * Prunes a repository in which every pack is half used, once: all of it is stored anew. Then all of it is read, so that
 * nobody is glad of memory that was saved by losing something.
 */
async function prune(...flags: string[]): Promise<Measured[]> {
  const original = await once('blobs', 'make-blobs.ts', '5000000');
  const repository = join(folder, 'pruned');
  await measure({ program: 'cp', args: ['-a', original, repository], environment: {} });
  const holdfast = (...args: string[]): Command => ({
    program,
    args: [...args, '--no-cache'],
    environment: { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: 'benchmark' },
  });
  await measure(holdfast('forget', '-q', '--keep-last=1', '--group-by='));
  const pruned = await measure(holdfast('prune', '-q', ...flags));
  await measure(holdfast('check', '-q', '--read-data'));
  rmSync(repository, { recursive: true });
  return [pruned];
}

/** Folder of the repository that a script makes, the first time that it is asked for. */
async function once(name: string, maker: string, count: string): Promise<string> {
  const known = made.get(name);
  if (known !== undefined) return known;
  const repository = join(folder, name);
  await measure(script(maker, repository, count));
  made.set(name, repository);
  return repository;
}

function script(name: string, ...args: string[]): Command {
  const environment = { RESTIC_PASSWORD: 'benchmark' };
  return { program: process.execPath, args: [join(here, name), ...args], environment };
}

/** Runs a command several times; where it prints its own `seconds`, those count. */
async function repeat(command: Command, count: number): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (let run = 0; run < count; run++) {
    const { wallSeconds, peakBytes, output: printed } = await measure(command);
    const own = /"seconds":([0-9.]+)/.exec(printed)?.[1];
    measured.push({
      wallSeconds: own === undefined ? wallSeconds : Number(own),
      peakBytes,
      output: printed,
    });
  }
  return measured;
}

function report({ title, secondsMax, peakBytesMax, measured }: Result): void {
  const seconds = median(measured.map((run) => run.wallSeconds));
  const peak = Math.max(...measured.map((run) => run.peakBytes));
  const fits = seconds <= (secondsMax ?? Infinity) && peak <= (peakBytesMax ?? Infinity);
  if (!fits) process.exitCode = 1;
  const secondsText = secondsMax === undefined ? '' : ` (at most ${secondsMax})`;
  const peakText = peakBytesMax === undefined ? '' : ` (at most ${peakBytesMax / 2 ** 20})`;
  console.log(
    `${title}: ${seconds.toFixed(3)} s${secondsText}, ` +
      `peak ${(peak / 2 ** 20).toFixed(0)} MiB${peakText}  ${fits ? 'ok' : 'MISSED'}`,
  );
}
