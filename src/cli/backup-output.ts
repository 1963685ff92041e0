import { formatBytes } from '../base/bytes.ts';
import type { Problem, Progress } from '../base/monitor.ts';
import type { BackupItem, BackupMonitor, BackupResult } from '../engine/backup.ts';
import { type Id, shortId } from '../repository/id.ts';
import type { SnapshotSummary } from '../repository/snapshots.ts';
import { formatTime, localZone } from '../repository/time-format.ts';
import type { Source } from '../sources/source.ts';
import { printNote, reportProblem } from './cli-monitor.ts';
import type { Invocation } from './command.ts';
import { formatSeconds } from './format.ts';
import type { JsonOutput } from './go-json.ts';
import type { Output } from './output.ts';
import { ProgressView } from './progress/progress-view.ts';
import { type ScanTotals, scanSource } from './progress/scan.ts';
import { type Pace, secondsLeft, shareDone } from './progress/status-lines.ts';
import { safeText } from './safe-text.ts';

/** All that a backup says: progress, single files with -v, problems as they come, and the summary. */
export class BackupOutput implements BackupMonitor {
  readonly item?: (item: BackupItem) => void;
  readonly #invocation: Invocation;
  readonly #output: Output;
  readonly #view: ProgressView<Progress>;
  /** Problems of the source and of the repository. */
  problemCount = 0;
  readonly #scanEnd = new AbortController();
  #totals: ScanTotals | undefined;

  constructor(invocation: Invocation) {
    this.#invocation = invocation;
    this.#output = invocation.output;
    this.#view = new ProgressView<Progress>(invocation, { unit: 'files', json: statusJson });
    // restic names files in JSON with -v, in text with -vv.
    const { isJson, verbosity } = this.#output;
    if (verbosity >= (isJson ? 2 : 3)) this.item = (item) => this.#printItem(item);
    this.#output.verbose('open repository');
  }

  /** Whether counting the source beside the backup is of use to anybody. */
  get wantsScan(): boolean {
    return this.#view.isShown || this.#output.verbosity >= 2;
  }

  /** Counts the files of the source in the background. @param source an own instance */
  scan(source: Source): void {
    const { clock } = this.#invocation.environment;
    const startMs = clock.monotonicMs();
    const onCount = (totals: ScanTotals): void => {
      this.#totals = totals;
    };
    const signal = AbortSignal.any([this.#scanEnd.signal, this.#invocation.signal]);
    // Never rejects: problems are met by the backup itself.
    void scanSource(source, { clock, signal, onCount }).then((totals) => {
      if (totals) this.#printScan(totals, (clock.monotonicMs() - startMs) / 1000);
    });
  }

  parent(snapshot: Id | undefined): void {
    this.#output.info(
      snapshot === undefined
        ? 'no parent snapshot found, will read all files'
        : `using parent snapshot ${shortId(snapshot)}`,
    );
  }

  progress(progress: Progress): void {
    const totals = this.#totals;
    if (!totals) return this.#view.update(progress);
    // Files may be added or grow while they are counted.
    this.#view.update({
      ...progress,
      filesTotal: Math.max(totals.fileCount, progress.filesDone),
      bytesTotal: Math.max(totals.sizeBytes, progress.bytesDone),
    });
  }

  problem(problem: Problem): void {
    this.problemCount++;
    reportProblem(this.#output, problem);
  }

  note(text: string): void {
    printNote(this.#output, text);
  }

  /** Ends progress. Idempotent. */
  stop(): void {
    this.#scanEnd.abort();
    this.#view.stop();
  }

  /** Prints the summary. */
  finish(result: BackupResult): void {
    this.stop();
    if (this.#output.isJson) this.#output.json(summaryJson(result));
    else for (const line of summaryLines(result, this.#output.verbosity)) this.#output.info(line);
  }

  #printScan({ fileCount, sizeBytes }: ScanTotals, seconds: number): void {
    if (!this.#output.isJson) {
      const size = formatBytes(sizeBytes);
      const took = seconds.toFixed(3);
      this.#output.verbose(`scan finished in ${took}s: ${fileCount} files, ${size}`);
    } else if (this.#output.verbosity >= 2) {
      this.#output.json({
        message_type: 'verbose_status',
        action: 'scan_finished',
        item: '',
        duration: seconds,
        data_size: sizeBytes,
        data_size_in_repo: 0,
        metadata_size: 0,
        metadata_size_in_repo: 0,
        total_files: fileCount,
      });
    }
  }

  #printItem(item: BackupItem): void {
    const slash = item.isDirectory ? '/' : '';
    if (!this.#output.isJson) {
      const path = safeText(Buffer.concat([item.path, Buffer.from(slash)]));
      this.#output.line(`${item.action.padEnd(9)} ${path}${addedText(item)}`);
      return;
    }
    this.#output.json({
      message_type: 'verbose_status',
      action: item.action,
      item: Buffer.from(item.path).toString('utf8') + slash,
      duration: item.durationMs / 1000,
      data_size: item.dataSizeBytes,
      data_size_in_repo: item.dataStoredBytes,
      metadata_size: item.metadataSizeBytes,
      metadata_size_in_repo: item.metadataStoredBytes,
      total_files: 0,
    });
  }
}

function addedText(item: BackupItem): string {
  if (item.action === 'unchanged') return '';
  const took = (item.durationMs / 1000).toFixed(3);
  const data = `${formatBytes(item.dataSizeBytes)} added, ${formatBytes(item.dataStoredBytes)} stored`;
  const metadata = item.isDirectory ? `, ${formatBytes(item.metadataStoredBytes)} metadata` : '';
  return `, saved in ${took}s (${data}${metadata})`;
}

function statusJson(progress: Progress, pace: Pace): JsonOutput {
  const left = secondsLeft(progress, pace);
  return {
    message_type: 'status',
    seconds_elapsed: Math.floor(pace.elapsedMs / 1000) || undefined,
    seconds_remaining: left === undefined ? undefined : Math.floor(left) || undefined,
    percent_done: shareDone(progress) ?? 0,
    total_files: progress.filesTotal || undefined,
    files_done: progress.filesDone || undefined,
    total_bytes: progress.bytesTotal || undefined,
    bytes_done: progress.bytesDone || undefined,
    error_count: progress.errorCount || undefined,
    current_files: progress.currentItems.length > 0 ? progress.currentItems : undefined,
  };
}

function summaryJson({ summary, ...result }: BackupResult): JsonOutput {
  return {
    message_type: 'summary',
    files_new: summary.filesNew ?? 0,
    files_changed: summary.filesChanged ?? 0,
    files_unmodified: summary.filesUnmodified ?? 0,
    dirs_new: summary.dirsNew ?? 0,
    dirs_changed: summary.dirsChanged ?? 0,
    dirs_unmodified: summary.dirsUnmodified ?? 0,
    data_blobs: summary.dataBlobs ?? 0,
    tree_blobs: summary.treeBlobs ?? 0,
    data_added: summary.dataAdded ?? 0,
    data_added_packed: summary.dataAddedPacked ?? 0,
    total_files_processed: summary.totalFilesProcessed ?? 0,
    total_bytes_processed: summary.totalBytesProcessed ?? 0,
    total_duration: result.totalDurationMs / 1000,
    backup_start: summary.backupStart && formatTime(summary.backupStart, localZone),
    backup_end: summary.backupEnd && formatTime(summary.backupEnd, localZone),
    snapshot_id: result.snapshotId,
    dry_run: result.dryRun || undefined,
  };
}

function summaryLines(result: BackupResult, verbosity: number): string[] {
  const { summary, snapshotId, dryRun } = result;
  const lines = [
    '',
    countLine('Files', [summary.filesNew, summary.filesChanged, summary.filesUnmodified]),
    countLine('Dirs', [summary.dirsNew, summary.dirsChanged, summary.dirsUnmodified]),
  ];
  if (verbosity >= 2) {
    lines.push(`Data Blobs:  ${pad(summary.dataBlobs)} new`);
    lines.push(`Tree Blobs:  ${pad(summary.treeBlobs)} new`);
  }
  lines.push(addedLine(summary, dryRun), '', processedLine(result));
  if (snapshotId === undefined) lines.push('skipped creating snapshot');
  else if (!dryRun) lines.push(`snapshot ${shortId(snapshotId)} saved`);
  return lines;
}

function countLine(label: string, counts: readonly (number | undefined)[]): string {
  const [added, changed, unmodified] = counts.map(pad);
  return `${`${label}:`.padEnd(13)}${added} new, ${changed} changed, ${unmodified} unmodified`;
}

function pad(count: number | undefined): string {
  return String(count ?? 0).padStart(5);
}

function addedLine(summary: SnapshotSummary, dryRun: boolean): string {
  const plain = formatBytes(summary.dataAdded ?? 0).padEnd(5);
  const stored = formatBytes(summary.dataAddedPacked ?? 0).padEnd(5);
  return `${dryRun ? 'Would add' : 'Added'} to the repository: ${plain} (${stored} stored)`;
}

function processedLine({ summary, totalDurationMs }: BackupResult): string {
  const size = formatBytes(summary.totalBytesProcessed ?? 0);
  const took = formatSeconds(totalDurationMs / 1000);
  return `processed ${summary.totalFilesProcessed ?? 0} files, ${size} in ${took}`;
}
