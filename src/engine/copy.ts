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
import type { EngineContext } from './context.ts';
import { CopyList, copyOf } from './copy/copy-list.ts';
import { assertNeverAway } from './damage-if-held.ts';
import { findLostContent } from './copy/lost-content.ts';
import { LostPacks } from './copy/lost-packs.ts';
import { NeededBlobs } from './copy/needed-blobs.ts';
import { markedPacks, withoutPacks } from './packs/known-packs.ts';
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
  /** The target had it as `copy`, and lost some of its data: it has all of it again. */
  snapshotHealed?(snapshot: StoredSnapshot, copy: StoredSnapshot): void;
}

/** What is copied, and where to. The repositories may have different keys. */
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

/** What was copied, by ids in the source and the target; sizes in bytes, of new blobs only. */
export interface CopyResult {
  readonly copied: readonly { readonly source: Id; readonly target: Id }[];
  readonly skippedCount: number;
  /** Snapshots whose copies were looked through because the target had lost data, which was stored again: they have all of it. */
  readonly healed: readonly { readonly source: Id; readonly target: Id }[];
  /** Of what earlier copies need: lost by the target, and stored again. */
  readonly healedBlobCount: number;
  /** Snapshots that cannot be copied whole, so that the target does not have them, or not whole. */
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
 * one run stored the next one need not send again. What the target has lost, or means to delete, is sent again. Once it is
 * known to have lost something, the snapshots that it has already are looked through as well, and get back what they need. A
 * snapshot that cannot be read whole is told to the monitor, file by file, and left out; the others go on.
 * @throws CANCELLED, LOCK_LOST also if a snapshot could not be read since the source's lock was lost, and what storing
 *   throws; snapshots told of as copied are there
 * @see docs/FORMAT.md#snapshots
 */
export async function copySnapshots(
  request: CopyRequest,
  context: EngineContext<CopyMonitor>,
): Promise<CopyResult> {
  const lost = await LostPacks.find(request.target, context);
  const marked = await markedPacks(request.target, context);
  const target = withoutPacks(request.target, new Set([...lost.packs, ...marked]), context);
  const run = new CopyRun({ ...request, target }, lost, context);
  const result = await run.run();
  lost.tellEnd(target.index, context);
  if (result.failed.length > 0) await assertNeverAway(request.source.repository);
  return result;
}

/** A snapshot of the source, and its copy in the target if there is one. */
interface CopiedSnapshot {
  readonly snapshot: StoredSnapshot;
  readonly copy: StoredSnapshot | undefined;
}

class CopyRun {
  readonly #request: CopyRequest;
  readonly #context: EngineContext<CopyMonitor>;
  readonly #needed: NeededBlobs;
  readonly #known: CopyList;
  readonly #lost: LostPacks;
  readonly #writer: IndexWriter;
  /** Snapshots whose blobs were looked up but not stored yet. */
  #batch: CopiedSnapshot[] = [];
  #batchStartMs = 0;
  readonly #copied: { source: Id; target: Id }[] = [];
  /** The target has them, whole. */
  readonly #whole: { readonly snapshot: StoredSnapshot; readonly copy: StoredSnapshot }[] = [];
  readonly #failed: Id[] = [];
  /** What copies of the batch lack: entries of the source's index. */
  readonly #healing = new Set<number>();
  #healedBlobCount = 0;
  #skippedCount = 0;
  #stored = { blobCount: 0, plainSizeBytes: 0, storedSizeBytes: 0 };

  constructor(request: CopyRequest, lost: LostPacks, context: EngineContext<CopyMonitor>) {
    this.#request = request;
    this.#lost = lost;
    this.#context = context;
    this.#needed = new NeededBlobs(request.source, request.target.index, context);
    this.#known = new CopyList(request.existing);
    this.#writer = new IndexWriter(request.target.repository, { packCountMin });
  }

  async run(): Promise<CopyResult> {
    const { monitor, environment } = this.#context;
    const wanted = this.#request.snapshots.map((snapshot): CopiedSnapshot => {
      return { snapshot, copy: this.#known.find(snapshot) };
    });
    const heals = wanted.some(({ copy }) => copy && this.#lost.isKnownToMiss(copy));
    for (const item of wanted) {
      // One that is wanted twice was perhaps copied a moment ago.
      const { snapshot, copy = this.#known.find(snapshot) } = item;
      if (copy && !heals) {
        this.#skip(snapshot, copy);
        continue;
      }
      if (!copy) monitor.snapshotStarted?.(snapshot);
      const nowMs = environment.clock.monotonicMs();
      if (this.#batch.length === 0) this.#batchStartMs = nowMs;
      if (await this.#look({ snapshot, copy })) this.#batch.push({ snapshot, copy });
      const isOld = nowMs - this.#batchStartMs >= batchMsMax;
      if (isOld || this.#needed.sizeBytes >= this.#batchSizeBytes()) await this.#finishBatch();
    }
    await this.#finishBatch();
    const healed = this.#finishHealing();
    const counts = { skippedCount: this.#skippedCount, ...this.#stored };
    const healing = { healed, healedBlobCount: this.#healedBlobCount };
    return { copied: this.#copied, failed: this.#failed, ...healing, ...counts };
  }

  #skip(snapshot: StoredSnapshot, copy: StoredSnapshot): void {
    this.#skippedCount++;
    this.#context.monitor.snapshotSkipped?.(snapshot, copy);
  }

  /** Several may have lacked the same: which of them did is not known, only that now none does. */
  #finishHealing(): CopyResult['healed'] {
    if (this.#healedBlobCount > 0) {
      return this.#whole.map(({ snapshot, copy }) => {
        this.#context.monitor.snapshotHealed?.(snapshot, copy);
        return { source: snapshot.id, target: copy.id };
      });
    }
    for (const { snapshot, copy } of this.#whole) this.#skip(snapshot, copy);
    return [];
  }

  #batchSizeBytes(): number {
    return Math.max(batchSizeBytesMin, this.#stored.storedSizeBytes * batchShare);
  }

  /** Finds out what a snapshot needs. @returns false if it cannot be copied, which was told */
  async #look({ snapshot, copy }: CopiedSnapshot): Promise<boolean> {
    try {
      const { length } = this.#needed.entries;
      await this.#needed.add(snapshot);
      if (copy) for (const entry of this.#needed.entries.slice(length)) this.#healing.add(entry);
      return true;
    } catch (error) {
      if (endsWork(error)) throw error;
      this.#fail({ snapshot, copy }, await this.#whyUnreadable(snapshot, error));
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
    const batch = this.#batch;
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
    for (const { entry } of result.failed) this.#healing.delete(entry);
    this.#healedBlobCount += this.#healing.size;
    this.#healing.clear();
    const reasons = new Map(
      result.failed.map(({ entry, error }) => [toHex(source.index.idOf(entry)), error]),
    );
    for (const item of batch) await this.#finishSnapshot(item, reasons);
  }

  async #finishSnapshot(
    { snapshot, copy }: CopiedSnapshot,
    reasons: ReadonlyMap<string, unknown>,
  ): Promise<void> {
    const { signal, monitor } = this.#context;
    const { source, target, lock } = this.#request;
    throwIfAborted(signal);
    if (reasons.size > 0) {
      const where = { index: target.index, reasons };
      const lost = await findLostContent({ source, snapshot }, where, this.#context);
      if (lost.length > 0) return this.#fail({ snapshot, copy }, lost);
    }
    if (copy) {
      this.#whole.push({ snapshot, copy });
      return;
    }
    const made = copyOf(snapshot);
    const data = { indexed: target, own: this.#writer.stored, marked: 'absent' } as const;
    const publication = { snapshot: made, lock, data };
    const id = await publishSnapshot(target.repository, publication, this.#context);
    this.#known.add({ ...made, id });
    this.#copied.push({ source: snapshot.id, target: id });
    monitor.snapshotCopied?.(snapshot, id);
  }

  #fail({ snapshot, copy }: CopiedSnapshot, problems: readonly Problem[]): void {
    const { monitor } = this.#context;
    this.#failed.push(snapshot.id);
    for (const problem of problems.slice(0, problemsToldMax)) {
      monitor.problem({ ...problem, item: `${shortId(snapshot.id)}:${problem.item}` });
    }
    const more = problems.length - problemsToldMax;
    const error = new HoldfastError('SNAPSHOT_DAMAGED', {
      message: copy
        ? `it cannot be read whole, and its copy ${shortId(copy.id)} lacks what was lost`
        : 'it cannot be read whole and was not copied',
      ...(more > 0 ? { details: { moreProblems: more } } : {}),
    });
    monitor.problem({ item: `snapshot ${snapshot.id}`, during: 'archival', error });
  }
}
