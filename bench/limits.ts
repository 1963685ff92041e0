// npm run bench:limits: what is not compared with another program: start-up, and a very large index.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { existsSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, type Measured, measure, median } from './measure.ts';

const here = dirname(fileURLToPath(import.meta.url));
const blobCount = 10_000_000;
const runs = 3;

interface Limit {
  readonly name: string;
  /** Absent: only the memory counts. */
  readonly secondsMax?: number;
  readonly peakBytesMax?: number;
  readonly measured: readonly Measured[];
}

const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'holdfast-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.on('SIGINT', () => process.exit(130));
const repository = join(folder, 'repository');
const cache = join(folder, 'cache');
mkdirSync(cache);

await measure(script('make-index.ts', repository, String(blobCount)));
const version: Command = {
  program: join(dirname(here), 'bin/holdfast'),
  args: ['version'],
  environment: {},
};
await measure(script('open-index.ts', repository, cache));
const limits: Limit[] = [
  { name: 'start of "holdfast version"', secondsMax: 0.12, measured: await repeat(version, 9) },
  {
    name: 'index of 10,000,000 blobs, cold',
    secondsMax: 15,
    peakBytesMax: 900 << 20,
    measured: await repeat(script('open-index.ts', repository), runs),
  },
  {
    name: 'index of 10,000,000 blobs, from the cache',
    secondsMax: 2,
    peakBytesMax: 900 << 20,
    measured: await repeat(script('open-index.ts', repository, cache), runs),
  },
  {
    name: 'prune of 5,000,000 blobs, half of them unused in every pack',
    peakBytesMax: 700 << 20,
    measured: await prunes(),
  },
];
for (const limit of limits) report(limit);
mkdirSync(join(here, 'results'), { recursive: true });
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
const date = new Date().toISOString().slice(0, 10);
writeFileSync(
  join(here, 'results/limits.json'),
  `${JSON.stringify({ date, machine, limits }, undefined, 2)}\n`,
);

/** Prunes a repository in which every pack is half used, once: all of it is stored anew. */
async function prunes(): Promise<Measured[]> {
  rmSync(repository, { recursive: true, force: true });
  await measure(script('make-blobs.ts', repository, '5000000'));
  await measure(holdfast('forget', '-q', '--keep-last=1', '--group-by='));
  const pruned = await measure(holdfast('prune', '-q', '--instant'));
  await measure(holdfast('check', '-q', '--read-data'));
  return [pruned];
}

function holdfast(...args: string[]): Command {
  return {
    program: join(dirname(here), 'bin/holdfast'),
    args: [...args, '--no-cache'],
    environment: { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: 'benchmark' },
  };
}

function script(name: string, ...args: string[]): Command {
  const environment = { RESTIC_PASSWORD: 'benchmark' };
  return { program: process.execPath, args: [join(here, name), ...args], environment };
}

/** Runs a command several times; where it prints its own `seconds`, those count. */
async function repeat(command: Command, count: number): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (let run = 0; run < count; run++) {
    const { wallSeconds, peakBytes, output } = await measure(command);
    const own = /"seconds":([0-9.]+)/.exec(output)?.[1];
    measured.push({
      wallSeconds: own === undefined ? wallSeconds : Number(own),
      peakBytes,
      output,
    });
  }
  return measured;
}

function report({ name, secondsMax, peakBytesMax, measured }: Limit): void {
  const seconds = median(measured.map((run) => run.wallSeconds));
  const peak = Math.max(...measured.map((run) => run.peakBytes));
  const fits = seconds <= (secondsMax ?? Infinity) && peak <= (peakBytesMax ?? Infinity);
  if (!fits) process.exitCode = 1;
  console.log(
    `${name}: ${seconds.toFixed(3)} s${secondsMax === undefined ? '' : ` (at most ${secondsMax})`}, ` +
      `peak ${(peak / 2 ** 20).toFixed(0)} MiB  ${fits ? 'ok' : 'MISSED'}`,
  );
}
