import type { Problem, Progress } from '../../base/monitor.ts';
import {
  type RewriteChange,
  type RewriteMonitor,
  type RewriteRequest,
  rewriteSnapshots,
} from '../../engine/rewrite.ts';
import { type Id, shortId } from '../../repository/id.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import { reportProblem } from '../cli-monitor.ts';
import type { Invocation } from '../command.ts';
import type { RewriteFlags } from '../commands/rewrite.ts';
import { formatStoredTime, headOfSnapshot } from '../format.ts';
import type { JsonOutput } from '../go-json.ts';
import type { Output } from '../output.ts';
import { usage } from '../parse.ts';
import { parsePersonTime } from '../parse-time.ts';
import { ProgressView } from '../progress/progress-view.ts';
import { type Pace, shareDone } from '../progress/status-lines.ts';
import { pathSelection } from '../restore-selection.ts';
import { safeText } from '../safe-text.ts';
import { allSnapshots, chooseSnapshots, filterOf } from '../select-snapshots.ts';
import { type SessionOptions, withSession } from '../session.ts';

type RewriteInvocation = Invocation<RewriteFlags>;

/** `holdfast rewrite`. */
export async function rewrite(invocation: RewriteInvocation): Promise<number> {
  const { flags, output, environment } = invocation;
  const change = changeOf(invocation);
  const { forget, dryRun } = flags;
  const lock = forget ? 'exclusive' : dryRun ? 'none' : 'shared';
  const settings: SessionOptions = { lock, tellsLock: forget, writes: !dryRun };
  return withSession(invocation, settings, async (session) => {
    const { signal } = session;
    const choice = { ids: invocation.arguments, filter: filterOf(flags) };
    const existing = await allSnapshots(session);
    const snapshots = await chooseSnapshots(session, { ...choice, snapshots: existing }, output);
    const indexed = await session.loadIndex();
    const { lock: held } = session;
    const request: RewriteRequest = { snapshots, existing, change, forget, dryRun, lock: held };
    const monitor = new RewriteOutput(invocation, request);
    const context = { environment, signal, monitor };
    const result = await rewriteSnapshots(indexed, request, context).finally(() => monitor.stop());
    tellEnd(output, result.changedCount, dryRun);
    const { length } = result.failed;
    if (length === 0) return session.exitCode();
    output.exitError(1, `Fatal: ${length} of ${snapshots.length} snapshots could not be rewritten`);
    return 1;
  });
}

/** @throws USAGE */
function changeOf(invocation: RewriteInvocation): RewriteChange {
  const { newHost, newTime, snapshotSummary } = invocation.flags;
  const select = pathSelection(invocation);
  const hostname = newHost || undefined;
  const time = newTime ? parsePersonTime(newTime, '--new-time') : undefined;
  if (!select && hostname === undefined && !time && !snapshotSummary) {
    throw usage(
      'nothing to do',
      'Say what to change: --exclude or --include, --new-host, --new-time or --snapshot-summary.',
    );
  }
  return {
    ...(select ? { selection: { select, isInclude: hasIncludes(invocation) } } : {}),
    hostname,
    time,
    withSummary: snapshotSummary,
  };
}

function hasIncludes({ flags }: RewriteInvocation): boolean {
  const { includes, includesIgnoringCase, includeFiles, includeFilesIgnoringCase } = flags;
  const given = [includes, includesIgnoringCase, includeFiles, includeFilesIgnoringCase];
  return given.some((texts) => texts.length > 0);
}

function tellEnd(output: Output, count: number, dryRun: boolean): void {
  if (output.isJson) {
    return output.json({ message_type: 'summary', changed_snapshots: count });
  }
  output.info('');
  const would = dryRun ? 'would be ' : 'were ';
  if (count === 0) output.info(`no snapshots ${would}modified`);
  else output.info(`${dryRun ? 'would modify' : 'modified'} ${count} snapshots`);
}

/** What rewrite says while it works, as restic does. */
class RewriteOutput implements RewriteMonitor {
  readonly #output: Output;
  readonly #request: RewriteRequest;
  readonly #view: ProgressView<Progress>;

  constructor(invocation: RewriteInvocation, request: RewriteRequest) {
    this.#output = invocation.output;
    this.#request = request;
    this.#view = new ProgressView<Progress>(invocation, { unit: 'snapshots', json: statusJson });
  }

  progress(progress: Progress): void {
    this.#view.update(progress);
  }

  stop(): void {
    this.#view.stop();
  }

  snapshotStarted(snapshot: StoredSnapshot): void {
    this.#output.info(headOfSnapshot(snapshot));
  }

  snapshotRewritten(snapshot: StoredSnapshot, newId: Id | undefined): void {
    const { time, hostname } = this.#request.change;
    if (newId === undefined) {
      this.#output.info('would save new snapshot');
      if (this.#request.forget) this.#output.info('would remove old snapshot');
    }
    const verb = newId === undefined ? 'would set' : 'setting';
    const hostWord = newId === undefined ? 'hostname' : 'host';
    if (time) this.#output.info(`${verb} time to ${formatStoredTime(time)}`);
    if (hostname !== undefined) this.#output.info(`${verb} ${hostWord} to ${safeText(hostname)}`);
    if (newId === undefined) return;
    this.#output.info(`saved new snapshot ${shortId(newId)}`);
    if (!this.#output.isJson) return;
    const ids = { old_snapshot_id: snapshot.id, new_snapshot_id: newId };
    this.#output.json({ message_type: 'changed', ...ids });
  }

  snapshotRemoved({ id }: StoredSnapshot): void {
    if (!this.#request.dryRun) this.#output.info(`removed old snapshot ${shortId(id)}`);
  }

  problem(problem: Problem): void {
    reportProblem(this.#output, problem);
  }

  note(text: string): void {
    this.#output.info(text);
  }
}

function statusJson(progress: Progress, { elapsedMs }: Pace): JsonOutput {
  return {
    message_type: 'status',
    seconds_elapsed: Math.floor(elapsedMs / 1000) || undefined,
    percent_done: shareDone(progress) ?? 0,
    total_snapshots: progress.filesTotal,
    snapshots_done: progress.filesDone,
    current_files: progress.currentItems.length > 0 ? [...progress.currentItems] : undefined,
  };
}
