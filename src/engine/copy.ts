import { publishSnapshot } from './publish-snapshot.ts';
import { throwIfAborted } from '../base/abort.ts';
import { toHex } from '../base/bytes.ts';
import { endsWork, HoldfastError } from '../base/errors.ts';
import type { Problem } from '../base/monitor.ts';
import type { Id } from '../repository/id.ts';
import { shortId } from '../repository/id.ts';
import { IndexWriter } from '../repository/index-writer.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { HeldLock } from '../repository/locks.ts';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import { reliablePacks } from './packs/known-packs.ts';
import type { EngineContext } from './context.ts';
import { CopyList, copyOf } from './copy/copy-list.ts';
import { findLostContent } from './copy/lost-content.ts';
import { NeededBlobs } from './copy/needed-blobs.ts';
import { transferBlobs, type TransferMonitor } from './packs/transfer.ts';

/** What is stored before it is entered into the index, and its snapshots are written. */
const batchSizeBytesMin: number = 1 << 30;
/** The same as a share of all that was stored: a copy of terabytes must not leave thousands of index files. */
const batchShare = 1 / 32;
/** The same in packs, within one snapshot: what a crash may have to be sent again. */
const packCountMin = 64;
/** The same as a time, for many snapshots that bring little. */
const batchMsMax = 5 * 60 * 1000;
/** Places of missing content that are told of one snapshot. */
const problemsToldMax = 10;

/** What copying tells while it runs. */
export interface CopyMonitor extends TransferMonitor {
  /** It is looked through, to be copied. */
  snapshotStarted?(snapshot: StoredSnapshot): void;
  /** The target has it, as `copy`. */
  snapshotSkipped?(snapshot: StoredSnapshot, copy: StoredSnapshot): void;
  /** It is stored there, whole. */
  snapshotCopied?(snapshot: StoredSnapshot, id: Id): void;
}

export interface CopyRequest {
  readonly source: IndexedRepository;
  /** Snapshots of the source, in the order in which they are wanted. */
  readonly snapshots: readonly StoredSnapshot[];
  readonly target: IndexedRepository;
  /** Snapshots of the target, listed before its index was loaded. */
  readonly existing: readonly StoredSnapshot[];
  /** Of the target. */
  readonly lock: HeldLock | undefined;
}

export interface CopyResult {
  readonly copied: readonly { readonly source: Id; readonly target: Id }[];
  readonly skippedCount: number;
  /** Snapshots that cannot be copied whole, so that the target does not have them. */
  readonly failed: readonly Id[];
  /** New in the target. */
  readonly blobCount: number;
  readonly plainSizeBytes: number;
  readonly storedSizeBytes: number;
}

/**
 * Copies snapshots to another repository, with all they need that is not there yet. Trees keep their bytes, and so
 * their ids. The source is only read.
 *
 * Packs come first, then their index files, then the snapshots: the target has a snapshot whole or not at all. What
 * one run stored the next one need not send again. What the target has lost, or means to delete, is sent again. A snapshot that cannot be read whole is told to the monitor, file by
 * file, and left out; the others go on.
 * @throws CANCELLED, LOCK_LOST, and what storing throws; snapshots told of as copied are there
 * @see docs/FORMAT.md#snapshots
 */
export async function copySnapshots(
  request: CopyRequest,
  context: EngineContext<CopyMonitor>,
): Promise<CopyResult> {
  const target = await reliablePacks(request.target, context);
  return new CopyRun({ ...request, target }, context).run();
}

class CopyRun {
  readonly #request: CopyRequest;
  readonly #context: EngineContext<CopyMonitor>;
  readonly #needed: NeededBlobs;
  readonly #known: CopyList;
  readonly #writer: IndexWriter;
  /** Snapshots whose blobs were looked up but not stored yet. */
  #batch: StoredSnapshot[] = [];
  #batchStartMs = 0;
  readonly #copied: { source: Id; target: Id }[] = [];
  readonly #failed: Id[] = [];
  #skippedCount = 0;
  #stored = { blobCount: 0, plainSizeBytes: 0, storedSizeBytes: 0 };

  constructor(request: CopyRequest, context: EngineContext<CopyMonitor>) {
    this.#request = request;
    this.#context = context;
    this.#needed = new NeededBlobs(request.source, request.target.index, context);
    this.#known = new CopyList(request.existing);
    this.#writer = new IndexWriter(request.target.repository, { packCountMin });
  }

  async run(): Promise<CopyResult> {
    const { monitor, environment } = this.#context;
    for (const snapshot of this.#request.snapshots) {
      const copy = this.#known.find(snapshot);
      if (copy) {
        this.#skippedCount++;
        monitor.snapshotSkipped?.(snapshot, copy);
        continue;
      }
      monitor.snapshotStarted?.(snapshot);
      const nowMs = environment.clock.monotonicMs();
      if (this.#batch.length === 0) this.#batchStartMs = nowMs;
      if (await this.#look(snapshot)) this.#batch.push(snapshot);
      const isOld = nowMs - this.#batchStartMs >= batchMsMax;
      if (isOld || this.#needed.sizeBytes >= this.#batchSizeBytes()) await this.#finishBatch();
    }
    await this.#finishBatch();
    const counts = { skippedCount: this.#skippedCount, ...this.#stored };
    return { copied: this.#copied, failed: this.#failed, ...counts };
  }

  #batchSizeBytes(): number {
    return Math.max(batchSizeBytesMin, this.#stored.storedSizeBytes * batchShare);
  }

  /** Finds out what a snapshot needs. @returns false if it cannot be copied, which was told */
  async #look(snapshot: StoredSnapshot): Promise<boolean> {
    try {
      await this.#needed.add(snapshot);
      return true;
    } catch (error) {
      if (endsWork(error)) throw error;
      this.#fail(snapshot, await this.#whyUnreadable(snapshot, error));
      return false;
    }
  }

  async #whyUnreadable(snapshot: StoredSnapshot, error: unknown): Promise<readonly Problem[]> {
    const { source } = this.#request;
    const where = { index: source.index, reasons: new Map<string, unknown>() };
    const problems = await findLostContent({ source, snapshot }, where, this.#context);
    // It may be that the second reading succeeds; what failed once is not copied in this run.
    return problems.length > 0 ? problems : [{ item: '/', during: 'scan', error }];
  }

  /** Stores what the batch needs, then its snapshots. */
  async #finishBatch(): Promise<void> {
    const snapshots = this.#batch;
    this.#batch = [];
    const { source, target } = this.#request;
    const to = { indexed: target, writer: this.#writer };
    const wanted = this.#needed.take();
    const result = await transferBlobs({ source, wanted, target: to, again: false }, this.#context);
    await this.#writer.flush();
    this.#stored.blobCount += result.blobCount;
    this.#stored.plainSizeBytes += result.plainSizeBytes;
    this.#stored.storedSizeBytes += result.storedSizeBytes;
    if (result.failed.length > 0) this.#needed.distrust();
    const reasons = new Map(
      result.failed.map(({ entry, error }) => [toHex(source.index.idOf(entry)), error]),
    );
    for (const snapshot of snapshots) await this.#finishSnapshot(snapshot, reasons);
  }

  async #finishSnapshot(
    snapshot: StoredSnapshot,
    reasons: ReadonlyMap<string, unknown>,
  ): Promise<void> {
    const { signal, monitor } = this.#context;
    const { source, target, lock } = this.#request;
    throwIfAborted(signal);
    if (reasons.size > 0) {
      const where = { index: target.index, reasons };
      const lost = await findLostContent({ source, snapshot }, where, this.#context);
      if (lost.length > 0) return this.#fail(snapshot, lost);
    }
    const copy = copyOf(snapshot);
    const data = { indexed: target, own: this.#writer.stored };
    const publication = { snapshot: copy, lock, data };
    const id = await publishSnapshot(target.repository, publication, this.#context);
    this.#known.add({ ...copy, id });
    this.#copied.push({ source: snapshot.id, target: id });
    monitor.snapshotCopied?.(snapshot, id);
  }

  #fail(snapshot: StoredSnapshot, problems: readonly Problem[]): void {
    const { monitor } = this.#context;
    this.#failed.push(snapshot.id);
    for (const problem of problems.slice(0, problemsToldMax)) {
      monitor.problem({ ...problem, item: `${shortId(snapshot.id)}:${problem.item}` });
    }
    const more = problems.length - problemsToldMax;
    const error = new HoldfastError('SNAPSHOT_DAMAGED', {
      message: 'it cannot be read whole and was not copied',
      ...(more > 0 ? { details: { moreProblems: more } } : {}),
    });
    monitor.problem({ item: `snapshot ${snapshot.id}`, during: 'archival', error });
  }
}
