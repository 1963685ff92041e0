import type { Problem, Progress } from '../../base/monitor.ts';
import { type CopyMonitor, type CopyResult, copySnapshots } from '../../engine/copy.ts';
import type { TransferProgress } from '../../engine/packs/transfer.ts';
import { shortId, type Id } from '../../repository/id.ts';
import { type StoredSnapshot } from '../../repository/snapshots.ts';
import { reportProblem } from '../cli-monitor.ts';
import type { Invocation } from '../command.ts';
import type { CopyFlags } from '../commands/copy.ts';
import { headOfSnapshot } from '../format.ts';
import { fromRepository } from '../from-repository.ts';
import type { Output } from '../output.ts';
import { usage } from '../parse.ts';
import { ProgressView } from '../progress/progress-view.ts';
import { safeText } from '../safe-text.ts';
import { allSnapshots, filterOf, selectSnapshots } from '../select-snapshots.ts';
import { type Session, withSession } from '../session.ts';

type CopyInvocation = Invocation<CopyFlags>;

/** `holdfast copy`. */
export async function copy(invocation: CopyInvocation): Promise<number> {
  const choice = fromRepository(invocation.flags);
  if (choice === undefined) {
    throw usage(
      'no repository to copy from was named',
      'Name it with --from-repo, --from-repository-file or RESTIC_FROM_REPOSITORY.',
    );
  }
  return withSession(invocation, { choice, lock: 'shared' }, (source) => {
    const { signal } = source;
    const settings = { lock: 'shared', writes: true } as const;
    return withSession({ ...invocation, signal }, settings, (target) =>
      copyBetween(invocation, source, target),
    );
  });
}

async function copyBetween(
  invocation: CopyInvocation,
  source: Session,
  target: Session,
): Promise<number> {
  const { flags, environment, output } = invocation;
  const { signal } = target;
  const wanted = { ids: invocation.arguments, filter: filterOf(flags) };
  const chosen = await selectSnapshots(source, wanted, output);
  const existing = await allSnapshots(target);
  const request = {
    // As restic: the newest first, which is wanted most if the rest takes long.
    snapshots: chosen.toReversed(),
    existing,
    source: await source.loadIndex(),
    target: await target.loadIndex(),
    lock: target.lock,
  };
  const view = new CopyOutput(invocation);
  let result: CopyResult;
  try {
    result = await copySnapshots(request, { environment, signal, monitor: view });
  } finally {
    view.stop();
  }
  if (output.isJson) output.json(summaryJson(result));
  else if (result.healedBlobCount > 0) {
    const { healed, healedBlobCount } = result;
    output.info(
      `stored ${healedBlobCount} blobs again that the destination had lost: ` +
        `it has all of ${healed.length} snapshots that were copied before`,
    );
  }
  const { length } = result.failed;
  if (length === 0) return Math.max(source.exitCode(), target.exitCode(), view.exitCode());
  output.exitError(1, `Fatal: ${length} of ${chosen.length} snapshots could not be copied`);
  return 1;
}

function summaryJson(result: CopyResult): Parameters<Output['json']>[0] {
  return {
    message_type: 'summary',
    snapshots_copied: result.copied.length,
    snapshots_skipped: result.skippedCount,
    snapshots_failed: result.failed.length,
    snapshots_healed: result.healed.length,
    blobs_healed: result.healedBlobCount,
    blobs_added: result.blobCount,
    data_added: result.plainSizeBytes,
    data_added_packed: result.storedSizeBytes,
  };
}

/** What copy says while it works. */
class CopyOutput implements CopyMonitor {
  readonly #output: Output;
  readonly #view: ProgressView<Progress>;
  #hasProblem = false;

  constructor(invocation: CopyInvocation) {
    this.#output = invocation.output;
    this.#view = new ProgressView<Progress>(invocation, { unit: 'blobs' });
  }

  snapshotStarted(snapshot: StoredSnapshot): void {
    this.#output.info(headOfSnapshot(snapshot));
    this.#output.info('  copy started, this may take a while...');
  }

  snapshotSkipped(snapshot: StoredSnapshot, copyOfIt: StoredSnapshot): void {
    this.#output.verbose(headOfSnapshot(snapshot));
    const [from, to] = [shortId(snapshot.id), shortId(copyOfIt.id)];
    this.#output.verbose(`skipping source snapshot ${from}, was already copied to snapshot ${to}`);
    if (!this.#output.isJson || this.#output.verbosity < 2) return;
    this.#output.json({
      message_type: 'skipped',
      source_snapshot_id: snapshot.id,
      snapshot_id: copyOfIt.id,
    });
  }

  snapshotCopied(snapshot: StoredSnapshot, id: Id): void {
    const from = shortId(snapshot.id);
    this.#output.info(`snapshot ${shortId(id)} saved, copied from source snapshot ${from}`);
    if (!this.#output.isJson) return;
    const ids = { source_snapshot_id: snapshot.id, snapshot_id: id };
    this.#output.json({ message_type: 'copied', ...ids });
  }

  snapshotHealed(snapshot: StoredSnapshot, copyOfIt: StoredSnapshot): void {
    this.#output.verbose(headOfSnapshot(snapshot));
    const [from, to] = [shortId(snapshot.id), shortId(copyOfIt.id)];
    this.#output.verbose(`snapshot ${to}, copied from source snapshot ${from}, is whole again`);
    if (!this.#output.isJson) return;
    const ids = { source_snapshot_id: snapshot.id, snapshot_id: copyOfIt.id };
    this.#output.json({ message_type: 'healed', ...ids });
  }

  transferProgress({ blobsDone, blobsTotal, bytesDone, bytesTotal }: TransferProgress): void {
    this.#view.update({
      filesDone: blobsDone,
      filesTotal: blobsTotal,
      bytesDone,
      bytesTotal,
      errorCount: 0,
      currentItems: [],
    });
  }

  problem(problem: Problem): void {
    this.#hasProblem = true;
    const item = this.#output.isJson ? problem.item : safeText(problem.item);
    reportProblem(this.#output, { ...problem, item });
  }

  /** 1 if there was any problem. */
  exitCode(): number {
    return this.#hasProblem ? 1 : 0;
  }

  note(text: string): void {
    this.#output.info(text);
  }

  stop(): void {
    this.#view.stop();
  }
}
