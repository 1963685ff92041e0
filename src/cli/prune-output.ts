import { formatBytes } from '../base/bytes.ts';
import { timestampFromNs } from '../base/timestamp.ts';
import type { Problem, Progress } from '../base/monitor.ts';
import type { PruneMonitor, PrunePlan, PruneResult } from '../engine/prune.ts';
import type { Invocation } from './command.ts';
import { formatPercent, formatStoredTime } from './format.ts';
import { printNote, reportProblem } from './cli-monitor.ts';
import type { Output } from './output.ts';
import { ProgressView } from './progress/progress-view.ts';

/** What prune says while it works. */
export class PruneOutput implements PruneMonitor {
  readonly #invocation: Invocation;
  readonly #output: Output;
  #view: ProgressView<Progress> | undefined;
  #unit = '';

  constructor(invocation: Invocation) {
    this.#invocation = invocation;
    this.#output = invocation.output;
  }

  phase(name: string): void {
    this.stop();
    this.#output.info(name);
  }

  counted(done: number, total: number, unit: string): void {
    this.#show(unit, done, total);
  }

  treesRead(count: number): void {
    this.#show('trees', count, undefined);
  }

  transferProgress(progress: { readonly blobsDone: number; readonly blobsTotal: number }): void {
    this.#show('blobs', progress.blobsDone, progress.blobsTotal);
  }

  problem(problem: Problem): void {
    reportProblem(this.#output, problem);
  }

  note(text: string): void {
    printNote(this.#output, text);
  }

  stop(): void {
    this.#view?.stop();
    this.#view = undefined;
  }

  #show(unit: string, filesDone: number, filesTotal: number | undefined): void {
    if (unit !== this.#unit) this.stop();
    this.#unit = unit;
    this.#view ??= new ProgressView<Progress>(this.#invocation, { unit });
    const total = filesTotal === undefined ? {} : { filesTotal };
    this.#view.update({ filesDone, ...total, bytesDone: 0, errorCount: 0, currentItems: [] });
  }
}

function line(name: string, blobCount: number | undefined, bytes: number): string {
  const blobs = blobCount === undefined ? '' : ` ${`${blobCount}`.padStart(10)} blobs /`;
  return `${`${`${name}:`.padEnd(13)}${blobs}`.padEnd(32)} ${formatBytes(bytes)}`;
}

/** The figures of a plan, line by line as restic has them. */
export function printPlan(output: Output, { packs, marks, state }: PrunePlan): void {
  const { blobs, size, packs: count } = packs.statistics;
  const totalBlobs = blobs.used + blobs.unused + blobs.duplicate;
  const totalSize = size.used + size.duplicate + size.unused + size.unreferenced;
  const unusedSize = size.duplicate + size.unused;
  output.verbose('');
  output.verbose(line('used', blobs.used, size.used));
  if (blobs.duplicate > 0) output.verbose(line('duplicates', blobs.duplicate, size.duplicate));
  output.verbose(line('unused', blobs.unused, size.unused));
  if (size.unreferenced > 0) output.verbose(line('unreferenced', undefined, size.unreferenced));
  output.verbose(line('total', totalBlobs, totalSize));
  output.verbose(`unused size: ${formatPercent(unusedSize, totalSize)} of total size`);
  const removedBlobs = blobs.remove + blobs.repackRemove;
  const removedSize = size.remove + size.repackRemove + size.unreferenced;
  output.info('');
  output.info(line('to repack', blobs.repack, size.repack));
  output.info(line('this removes', blobs.repackRemove, size.repackRemove));
  output.info(line('to delete', blobs.remove, size.remove + size.unreferenced));
  output.info(line('total prune', removedBlobs, removedSize));
  if (size.uncompressed > 0) {
    output.info(line('not yet compressed', undefined, size.uncompressed));
  }
  output.info(line('remaining', totalBlobs - removedBlobs, totalSize - removedSize));
  const unusedAfter = unusedSize - size.remove - size.repackRemove;
  const share = formatPercent(unusedAfter, totalSize - removedSize);
  output.info(`unused size after prune: ${formatBytes(unusedAfter)} (${share} of remaining size)`);
  printMarks(output, marks, state);
  output.info('');
  output.verbose(`totally used packs: ${`${count.used}`.padStart(10)}`);
  output.verbose(`partly used packs:  ${`${count.partlyUsed}`.padStart(10)}`);
  output.verbose(`unused packs:       ${`${count.unused}`.padStart(10)}`);
  output.verbose('');
  output.verbose(`to keep:      ${`${count.keep}`.padStart(10)} packs`);
  output.verbose(`to repack:    ${`${count.repack}`.padStart(10)} packs`);
  output.verbose(`to delete:    ${`${count.remove}`.padStart(10)} packs`);
  if (count.unreferenced > 0) {
    output.verbose(`to delete:    ${`${count.unreferenced}`.padStart(10)} unreferenced packs`);
  }
}

function printMarks(
  output: Output,
  { due, waiting }: PrunePlan['marks'],
  { stored }: PrunePlan['state'],
): void {
  const bytesOf = (marks: PrunePlan['marks']['due']): string =>
    formatBytes(marks.reduce((sum, { id }) => sum + (stored.get(id) ?? 0), 0));
  if (due.length > 0) {
    output.info(`marked before, to delete now: ${due.length} packs / ${bytesOf(due)}`);
  }
  if (waiting.length > 0) {
    output.info(`marked before, still waiting: ${waiting.length} packs / ${bytesOf(waiting)}`);
  }
}

/** What was done in two phases. */
export function printResult(
  output: Output,
  { deleted, awaiting, marked, kept }: PruneResult,
  keepText: string,
): void {
  if (kept.ids.length > 0) {
    const date = formatStoredTime(timestampFromNs(BigInt(kept.untilMs) * 1_000_000n));
    output.info(
      `kept ${kept.ids.length} packs that are of no use: the storage locks them until ${date}`,
    );
  }
  if (deleted.length > 0) {
    const size = deleted.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
    output.info(`deleted ${deleted.length} packs / ${formatBytes(size)} that were marked before`);
  }
  if (awaiting.length > 0) {
    output.info(
      `kept ${awaiting.length} packs that were marked before: work is going on that may have begun earlier`,
    );
  }
  if (marked.length === 0) return;
  const size = marked.reduce((sum, { sizeBytes }) => sum + (sizeBytes ?? 0), 0);
  output.info(
    `marked ${marked.length} packs / ${formatBytes(size)}: a prune after ${keepText} deletes them`,
  );
}
