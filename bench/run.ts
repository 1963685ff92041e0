// npm run bench [-- ROW ...] [--pairs N] [--folder FOLDER]: holdfast against restic, in turn, in one run.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { makeLargeFile, makeManyFiles, makeTree } from './data.ts';
import { makeHistory } from './history.ts';
import { type Measured, measure, median } from './measure.ts';
import { chooseRows, dataPath, peakMiBMaxDefault, type Row, rows } from './rows.ts';
import { Servers } from './servers.ts';
import { folderBytes, makeTools, type Place, type Tool, versionOf } from './tools.ts';

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
const chosen = chooseRows(positionals);
if (chosen.length === 0) {
  console.error(`no such row; there are: stores, ${rows.map((row) => row.name).join(', ')}`);
  process.exit(1);
}
// In memory where that is possible, so that no disk is measured.
const base = values.folder ?? (existsSync('/dev/shm') ? '/dev/shm' : tmpdir());
const folder = mkdtempSync(join(base, 'holdfast-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const servers = new Servers(folder);
process.on('SIGINT', () => void servers.stop().finally(() => process.exit(130)));
const versions = { holdfast: versionOf('holdfast'), restic: versionOf('restic') };

console.log(`${versions.holdfast}\n${versions.restic}`);
const results: RowResult[] = [];
let made: Row['data'] | undefined;
try {
  for (const row of chosen) await measureRow(row);
} finally {
  await servers.stop();
}
const output = join(dirname(fileURLToPath(import.meta.url)), 'results');
mkdirSync(output, { recursive: true });
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
const date = new Date().toISOString().slice(0, 10);
writeFileSync(
  join(output, `${positionals.length === 0 ? 'usual' : positionals.join('-')}.json`),
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

async function measureRow(row: Row): Promise<void> {
  if (made !== row.data) {
    if (made) rmSync(dataPath(folder, made), { recursive: true, force: true });
    await makeData(row.data);
    made = row.data;
  }
  const result = await runRow(row, Number(values.pairs));
  results.push(result);
  console.log(lineOf(result));
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
  const place = await servers.place(row.store);
  const tools = makeTools(place);
  const measured: Record<Tool['name'], Measured[]> = { holdfast: [], restic: [] };
  for (let pair = 0; pair < pairs; pair++) {
    for (const tool of [tools.holdfast, tools.restic]) {
      measured[tool.name].push(await measureOnce(row, tool, place));
    }
  }
  const figure = ({ wallSeconds, requests = Number.NaN }: Measured): number =>
    row.comparesRequests ? requests : wallSeconds;
  const ratios = measured.holdfast.map((ours, i) => {
    const theirs = measured.restic[i];
    return theirs ? figure(ours) / figure(theirs) : Number.NaN;
  });
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

async function measureOnce(row: Row, tool: Tool, place: Place): Promise<Measured> {
  const data = dataPath(folder, row.data);
  for (const command of row.prepare(tool, data)) await measure(command);
  place.takeRequests?.();
  const measured = { ...(await measure(row.timed(tool, data))), output: '' };
  const requests = place.takeRequests?.();
  // A million files of each program besides those that were backed up are more than a filesystem in memory may have.
  rmSync(tool.target, { recursive: true, force: true });
  return { ...measured, ...(requests !== undefined && { requests }) };
}

function lineOf(result: RowResult): string {
  const peak = peakMiB(result.holdfast);
  const size = result.sizeRatio === undefined ? '' : `, size ${result.sizeRatio.toFixed(3)}`;
  const verdict = holds(result) ? (result.ratio <= result.goal ? 'goal' : 'ok') : 'MISSED';
  return (
    `${result.name.padEnd(16)} ratio ${result.ratio.toFixed(3)} (goal ${result.goal}, bar ${result.bar}): ` +
    `${figures(result.holdfast)} against ${figures(result.restic)}, peak ${peak.toFixed(0)} MiB (at most ${result.peakMiBMax})${size}  ${verdict}`
  );
}

function figures(of: readonly Measured[]): string {
  const seconds = `${median(of.map((run) => run.wallSeconds)).toFixed(2)} s`;
  const counts = of.flatMap(({ requests }) => requests ?? []);
  return counts.length === 0 ? seconds : `${median(counts)} requests, ${seconds}`;
}
