import { formatBytes } from '../../base/bytes.ts';
import type { Problem } from '../../base/monitor.ts';
import {
  isOwnerRefused,
  restore as restoreSnapshot,
  type RestoreItem,
  type RestoreMonitor,
  type RestoreOptions,
  type RestoreProgress,
  type RestoreResult,
} from '../../engine/restore.ts';
import { shortId } from '../../repository/id.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import { printNote, reportProblem } from '../cli-monitor.ts';
import type { Invocation } from '../command.ts';
import type { RestoreFlags } from '../commands/restore.ts';
import { formatSeconds, formatStoredTime } from '../format.ts';
import type { JsonOutput } from '../go-json.ts';
import type { Output } from '../output.ts';
import { usage } from '../parse.ts';
import { tellLosses } from '../platform-losses.ts';
import { ProgressView } from '../progress/progress-view.ts';
import { type Pace, shareDone } from '../progress/status-lines.ts';
import { rawPath } from '../raw-arguments.ts';
import { attributeSelection, pathSelection } from '../restore-selection.ts';
import { safeText } from '../safe-text.ts';
import { filterOf, selectSnapshot } from '../select-snapshots.ts';
import { withSession } from '../session.ts';

/** Paths of items with another owner that the line about them names. */
const foreignShownMax = 3;

type RestoreInvocation = Invocation<RestoreFlags>;

/** `holdfast restore`. */
export function restore(invocation: RestoreInvocation): Promise<number> {
  const { flags, environment, output } = invocation;
  const [snapshotId, extra] = invocation.arguments;
  if (snapshotId === undefined) throw usage('no snapshot ID specified');
  if (extra !== undefined) throw usage(`more than one snapshot ID specified: ${extra}`);
  if (!flags.target) throw usage('please specify a directory to restore to (--target)');
  const options = optionsOf(invocation);
  if (flags.delete && flags.target === '/' && !options.select) {
    throw usage("'--target / --delete' must be combined with an include or exclude filter");
  }
  if (flags.dryRun && flags.verify) {
    throw usage(
      '--dry-run and --verify are mutually exclusive',
      'A dry run writes nothing to verify.',
    );
  }
  const target = rawPath(flags.target);
  return withSession(invocation, { lock: 'shared' }, async (session) => {
    const { signal } = session;
    const chosen = await selectSnapshot(session, snapshotId, filterOf(flags));
    const { snapshot, subfolder } = chosen;
    const indexed = await session.loadIndex();
    output.info(`restoring ${describe(snapshot)} to ${safeText(target)}`);
    const lossWarning = tellLosses(output, 'restore');
    const view = new RestoreOutput(invocation);
    try {
      const request = { snapshot, target, options: { ...options, subfolder } };
      const result = await restoreSnapshot(indexed, request, {
        environment,
        signal,
        monitor: view,
      });
      view.finish(result);
      // A snapshot or index file that cannot be read may be the one that was meant.
      if (result.problemCount > 0) return failed(output, result.problemCount);
      if (lossWarning === undefined) return session.exitCode();
      output.exitError(1, lossWarning);
      return 1;
    } finally {
      view.stop();
    }
  });
}

function failed(output: Output, count: number): number {
  output.exitError(1, `Fatal: there were ${count} errors`);
  return 1;
}

function optionsOf(invocation: RestoreInvocation): RestoreOptions {
  const { flags } = invocation;
  const select = pathSelection(invocation);
  const selectAttribute = attributeSelection(flags);
  return {
    overwrite: flags.overwrite ?? 'always',
    delete: flags.delete,
    sparse: flags.sparse,
    dryRun: flags.dryRun,
    verify: flags.verify,
    ownershipByName: flags.ownershipByName,
    ...(select ? { select } : {}),
    ...(selectAttribute ? { selectAttribute } : {}),
  };
}

function describe({ id, paths, time, username, hostname }: StoredSnapshot): string {
  const who = `${safeText(username ?? '')}@${safeText(hostname ?? '')}`;
  const shown = paths.map(safeText).join(' ');
  return `snapshot ${shortId(id)} of [${shown}] at ${formatStoredTime(time)} by ${who}`;
}

/** All that a restore says. */
class RestoreOutput implements RestoreMonitor {
  readonly item?: (item: RestoreItem) => void;
  readonly #output: Output;
  readonly #view: ProgressView<RestoreProgress>;
  readonly #verifyTarget: string | undefined;
  /** Items that could not be given to their owner; the first ones. */
  readonly #foreignFirst: string[] = [];
  #foreignCount = 0;

  constructor(invocation: RestoreInvocation) {
    const { output, flags } = invocation;
    this.#output = output;
    this.#view = new ProgressView<RestoreProgress>(invocation, { unit: 'files', json: statusJson });
    if (flags.verify && !flags.dryRun) this.#verifyTarget = flags.target;
    if (output.verbosity >= 3) this.item = (item) => this.#printItem(item);
  }

  progress(progress: RestoreProgress): void {
    this.#view.update(progress);
  }

  problem(problem: Problem): void {
    const isNamed = this.#output.isJson || this.#output.verbosity >= 2;
    if (isNamed || !isOwnerRefused(problem.error)) return reportProblem(this.#output, problem);
    this.#foreignCount++;
    if (this.#foreignFirst.length < foreignShownMax) this.#foreignFirst.push(problem.item);
  }

  note(text: string): void {
    printNote(this.#output, text);
  }

  privileged(path: Uint8Array): void {
    this.#output.verbose(`with setuid or setgid: ${safeText(path)}`);
  }

  stop(): void {
    this.#view.stop();
    if (this.#foreignCount > 0) this.#output.errorLine(this.#foreignLine());
    this.#foreignCount = 0;
  }

  finish(result: RestoreResult): void {
    this.stop();
    const { totalDurationMs } = result;
    if (this.#output.isJson) {
      this.#output.json({ message_type: 'summary', ...countsJson(result, totalDurationMs) });
      return;
    }
    this.#output.line(summaryLine(result, totalDurationMs));
    if (result.privilegedFiles > 0) {
      this.#output.info(`${result.privilegedFiles} files have setuid or setgid; -v names them`);
    }
    if (this.#verifyTarget === undefined) return;
    const where = safeText(this.#verifyTarget);
    this.#output.info(`finished verifying ${result.filesVerified} files in ${where}`);
  }

  #foreignLine(): string {
    const more = this.#foreignCount - this.#foreignFirst.length;
    const shown =
      this.#foreignFirst.map(safeText).join(', ') + (more > 0 ? ` and ${more} more` : '');
    return `error: ${this.#foreignCount} files and folders belong to you now: only root can give files to another owner (${shown}; -v names all)`;
  }

  #printItem({ action, path, sizeBytes }: RestoreItem): void {
    if (this.#output.isJson) {
      const item = Buffer.from(path).toString('utf8');
      this.#output.json({ message_type: 'verbose_status', action, item, size: sizeBytes });
      return;
    }
    const size = sizeBytes > 0 ? ` with size ${formatBytes(sizeBytes)}` : '';
    this.#output.line(`${action.padEnd(9)} ${safeText(path)}${size}`);
  }
}

type Counts = Pick<
  RestoreResult,
  | 'filesTotal'
  | 'filesRestored'
  | 'filesSkipped'
  | 'filesDeleted'
  | 'bytesTotal'
  | 'bytesRestored'
  | 'bytesSkipped'
>;

function countsJson(counts: Counts, elapsedMs: number): { [key: string]: number | undefined } {
  return {
    seconds_elapsed: Math.floor(elapsedMs / 1000) || undefined,
    total_files: counts.filesTotal || undefined,
    files_restored: counts.filesRestored || undefined,
    files_skipped: counts.filesSkipped || undefined,
    files_deleted: counts.filesDeleted || undefined,
    total_bytes: counts.bytesTotal || undefined,
    bytes_restored: counts.bytesRestored || undefined,
    bytes_skipped: counts.bytesSkipped || undefined,
  };
}

function statusJson(progress: RestoreProgress, pace: Pace): JsonOutput {
  return {
    message_type: 'status',
    seconds_elapsed: Math.floor(pace.elapsedMs / 1000) || undefined,
    percent_done: shareDone(progress) ?? 0,
    total_files: progress.filesTotal || undefined,
    files_restored: progress.filesDone || undefined,
    files_skipped: progress.filesSkipped || undefined,
    files_deleted: progress.filesDeleted || undefined,
    total_bytes: progress.bytesTotal || undefined,
    bytes_restored: progress.bytesDone || undefined,
    bytes_skipped: progress.bytesSkipped || undefined,
  };
}

function summaryLine(counts: Counts, elapsedMs: number): string {
  const { filesTotal, filesRestored, bytesTotal, bytesRestored } = counts;
  const isWhole = filesTotal === filesRestored && bytesTotal === bytesRestored;
  const restored = isWhole
    ? `${filesRestored} files/dirs (${formatBytes(bytesRestored)})`
    : `${filesRestored} / ${filesTotal} files/dirs (${formatBytes(bytesRestored)} / ${formatBytes(bytesTotal)})`;
  const parts = [`Summary: Restored ${restored} in ${formatSeconds(elapsedMs / 1000)}`];
  if (counts.filesSkipped > 0) {
    parts.push(`skipped ${counts.filesSkipped} files/dirs ${formatBytes(counts.bytesSkipped)}`);
  }
  if (counts.filesDeleted > 0) parts.push(`deleted ${counts.filesDeleted} files/dirs`);
  return parts.join(', ');
}
