import { formatBytes } from '../../base/bytes.ts';
import type { Progress } from '../../base/monitor.ts';
import { formatPercent, formatSeconds } from '../format.ts';
import { displayWidth } from '../table.ts';

/** When and how fast a running work goes. */
export interface Pace {
  readonly elapsedMs: number;
  /** Absent while it is not known. */
  readonly bytesPerSecond: number | undefined;
}

/** How a progress display is laid out. */
export interface StatusOptions {
  /** Width of the terminal. */
  readonly columns: number;
  /** What is counted: `files`, `packs`. */
  readonly unit: string;
}

const barWidth = 20;
const fullCell = '█';
const emptyCell = '░';

/** Share of the work that is done, in [0, 1]: by bytes, or by files where bytes are not known. */
export function shareDone(progress: Progress): number | undefined {
  const { bytesDone, bytesTotal, filesDone, filesTotal } = progress;
  if (bytesTotal) return Math.min(1, bytesDone / bytesTotal);
  if (filesTotal) return Math.min(1, filesDone / filesTotal);
  return undefined;
}

/** Seconds that are left if the pace stays; undefined if nobody can know. */
export function secondsLeft(progress: Progress, pace: Pace): number | undefined {
  const { bytesDone, bytesTotal } = progress;
  if (!bytesTotal || !pace.bytesPerSecond || pace.bytesPerSecond <= 0) return undefined;
  return Math.max(0, bytesTotal - bytesDone) / pace.bytesPerSecond;
}

/** The lines of a progress display: bar and numbers, then what is worked on. */
export function statusLines(progress: Progress, pace: Pace, options: StatusOptions): string[] {
  const first = [`[${formatSeconds(pace.elapsedMs / 1000)}]`, ...numbers(progress, pace, options)];
  return [first.join('  '), ...progress.currentItems].map((line) => fit(line, options.columns));
}

function numbers(progress: Progress, pace: Pace, options: StatusOptions): string[] {
  const parts: string[] = [];
  const share = shareDone(progress);
  if (share !== undefined) parts.push(bar(share), formatPercent(share, 1));
  parts.push(pair(progress.filesDone, progress.filesTotal, String) + ` ${options.unit}`);
  if (progress.bytesDone > 0 || progress.bytesTotal) {
    parts.push(pair(progress.bytesDone, progress.bytesTotal, formatBytes));
  }
  if (pace.bytesPerSecond) parts.push(`${formatBytes(Math.round(pace.bytesPerSecond))}/s`);
  if (progress.errorCount > 0) parts.push(`${progress.errorCount} errors`);
  const left = secondsLeft(progress, pace);
  if (left !== undefined) parts.push(`${formatSeconds(left)} left`);
  return parts;
}

function pair(done: number, total: number | undefined, format: (n: number) => string): string {
  return total === undefined ? format(done) : `${format(done)} / ${format(total)}`;
}

function bar(share: number): string {
  const full = Math.round(share * barWidth);
  return fullCell.repeat(full) + emptyCell.repeat(barWidth - full);
}

/** Cuts a line so that it never wraps; the last column stays free. */
function fit(line: string, columns: number): string {
  const width = Math.max(1, columns - 1);
  if (displayWidth(line) <= width) return line;
  let cut = '';
  let used = 0;
  for (const character of line) {
    used += displayWidth(character);
    if (used > width - 1) break;
    cut += character;
  }
  return `${cut}…`;
}
