// npm run bench [-- ROW ...] [--pairs N] [--folder FOLDER]: holdfast against restic, in turn, in one run.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeLargeFile, makeManyFiles, makeTree } from './data.ts';
import { makeHistory } from './history.ts';
import { type Measured, measure, median } from './measure.ts';
import { dataPath, peakMiBMaxDefault, type Row, rows } from './rows.ts';
import { folderBytes, makeTools, type Tool } from './tools.ts';

/** The repository's size against restic's, of every row that compares it. */
const sizeRatioMax = 1.03;

interface RowResult {
  readonly name: string;
  readonly title: string;
  readonly ratio: number;
  readonly goal: number;
  readonly bar: number;
  readonly sizeRatio?: number;
  readonly peakMiBMax: number;
  readonly holdfast: readonly Measured[];
  readonly restic: readonly Measured[];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { pairs: { type: 'string', default: '3' }, folder: { type: 'string' } },
});
const chosen = rows.filter(({ name }) =>
  positionals.length === 0 ? !name.startsWith('many') : positionals.includes(name),
);
if (chosen.length === 0) {
  console.error(`no such row; there are: ${rows.map((row) => row.name).join(', ')}`);
  process.exit(1);
}
// In memory where that is possible, so that no disk is measured.
const base = values.folder ?? (existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
const folder = mkdtempSync(join(base, 'holdfast-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.on('SIGINT', () => process.exit(130));
const tools = makeTools(folder);

console.log(`${tools.holdfast.version()}\n${tools.restic.version()}`);
const results: RowResult[] = [];
let made: Row['data'] | undefined;
for (const row of chosen) {
  if (made !== row.data) {
    if (made) rmSync(dataPath(folder, made), { recursive: true, force: true });
    await makeData(row.data);
    made = row.data;
  }
  const result = await runRow(row, Number(values.pairs));
  results.push(result);
  console.log(lineOf(result));
}
const output = join(dirname(fileURLToPath(import.meta.url)), 'results');
mkdirSync(output, { recursive: true });
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
const versions = { holdfast: tools.holdfast.version(), restic: tools.restic.version() };
const date = new Date().toISOString().slice(0, 10);
writeFileSync(
  join(
    output,
    `${chosen.length === rows.length ? 'all' : chosen.map((r) => r.name).join('-')}.json`,
  ),
  `${JSON.stringify({ date, machine, versions, results }, undefined, 2)}\n`,
);
process.exitCode = results.every(holds) ? 0 : 1;

/** A figure that is no number holds nothing. */
function holds({ ratio, bar, sizeRatio = 0, peakMiBMax, holdfast }: RowResult): boolean {
  return ratio <= bar && sizeRatio <= sizeRatioMax && peakMiB(holdfast) <= peakMiBMax;
}

function peakMiB(runs: readonly Measured[]): number {
  return Math.max(...runs.map((run) => run.peakBytes)) / 2 ** 20;
}

async function makeData(data: Row['data']): Promise<void> {
  const path = dataPath(folder, data);
  if (data === 'tree') makeTree(path, { fileCount: 110_000, totalBytes: 2.2e9, seed: 1 });
  else if (data === 'none') return;
  else if (data === 'many') makeManyFiles(path, { count: 1_000_000, sizeBytes: 200 });
  else if (data === 'history') await makeHistory(path);
  else makeLargeFile(path, 2 ** 31);
}

async function runRow(row: Row, pairs: number): Promise<RowResult> {
  const measured: Record<Tool['name'], Measured[]> = { holdfast: [], restic: [] };
  const data = dataPath(folder, row.data);
  for (let pair = 0; pair < pairs; pair++) {
    for (const tool of [tools.holdfast, tools.restic]) {
      for (const command of row.prepare(tool, data)) await measure(command);
      measured[tool.name].push({ ...(await measure(row.timed(tool, data))), output: '' });
    }
  }
  const ratios = measured.holdfast.map(
    ({ wallSeconds }, i) => wallSeconds / (measured.restic[i]?.wallSeconds ?? Number.NaN),
  );
  const { name, title, goal, bar, peakMiBMax = peakMiBMaxDefault } = row;
  const sizeRatio = folderBytes(tools.holdfast.repository) / folderBytes(tools.restic.repository);
  return {
    name,
    title,
    ratio: median(ratios),
    goal,
    bar,
    peakMiBMax,
    ...(row.comparesSize ? { sizeRatio } : {}),
    ...measured,
  };
}

function lineOf(result: RowResult): string {
  const peak = peakMiB(result.holdfast);
  const size = result.sizeRatio === undefined ? '' : `, size ${result.sizeRatio.toFixed(3)}`;
  const verdict = holds(result) ? (result.ratio <= result.goal ? 'goal' : 'ok') : 'MISSED';
  return (
    `${result.name.padEnd(15)} ratio ${result.ratio.toFixed(3)} (goal ${result.goal}, bar ${result.bar}): ` +
    `${seconds(result.holdfast)} s against ${seconds(result.restic)} s, peak ${peak.toFixed(0)} MiB (at most ${result.peakMiBMax})${size}  ${verdict}`
  );
}

function seconds(of: readonly Measured[]): string {
  return median(of.map((run) => run.wallSeconds)).toFixed(2);
}
