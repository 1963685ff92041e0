import { publishSnapshot, replaceSnapshot } from './publish-snapshot.ts';
import { removeSnapshot } from '../repository/snapshots.ts';
import { throwIfAborted } from '../base/abort.ts';
import { HoldfastError } from '../base/errors.ts';
import { compareTimestamps } from '../base/timestamp.ts';
import type { Id } from '../repository/id.ts';
import { IndexWriter } from '../repository/index-writer.ts';
import { loadIndex, loadIndexFiles } from '../repository/index-load.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import type { HeldLock } from '../repository/locks.ts';
import type { Repository } from '../repository/repository.ts';
import type { Snapshot, StoredSnapshot } from '../repository/snapshots.ts';
import { missingPacks } from './packs/stored-packs.ts';
import { BlobWriter } from './packs/blob-writer.ts';
import type { EngineContext } from './context.ts';
import { type BlobSources, healBlobs } from './repair/heal-blobs.ts';
import { type TreeLoss, TreeRepair } from './repair/tree-repair.ts';
import { refuseUnlistedCopies } from './repair/unlisted-copies.ts';
import { findWanted } from './repair/wanted-blobs.ts';

/** Which snapshots are repaired, where lost blobs may be found, and what becomes of the originals. */
export interface SnapshotRepairRequest {
  readonly snapshots: readonly StoredSnapshot[];
  /** All snapshots: a repaired form that one of them is already is not stored again. */
  readonly existing: readonly StoredSnapshot[];
  readonly sources: BlobSources;
  readonly lock: HeldLock | undefined;
  /** Remove the snapshots that were repaired. */
  readonly forget: boolean;
  /** Change nothing, also do not heal. */
  readonly dryRun: boolean;
  readonly listener: SnapshotRepairListener;
}

/** What became of a snapshot. */
export type SnapshotOutcome =
  | { readonly kind: 'whole' }
  /** Its root is lost, so that nothing of it can be had. */
  | { readonly kind: 'lost'; readonly isRemoved: boolean }
  /** `newId` is absent in a dry run; `isNew`: it was not there from an earlier repair. */
  | {
      readonly kind: 'repaired';
      readonly newId: Id | undefined;
      readonly isNew: boolean;
      readonly isRemoved: boolean;
    };

/** Hears of each snapshot in turn: `started`, what is taken out of it, `ended`. */
export interface SnapshotRepairListener {
  started(snapshot: StoredSnapshot): void;
  /** Something is taken out of the snapshot; of trees that snapshots share it is told once. */
  loss(path: string, loss: TreeLoss): void;
  ended(snapshot: StoredSnapshot, outcome: SnapshotOutcome): void;
}

/** What a repair of snapshots did; in a dry run what it would have done. */
export interface SnapshotRepairResult {
  /** Snapshots that have, or would have, a repaired form or were lost. */
  readonly modifiedCount: number;
  /** Missing blobs that were found elsewhere and stored. */
  readonly healedCount: number;
}

const repairedTag = 'repaired';

/**
 * Stores snapshots anew without what is missing, so that they can be restored. First missing blobs are looked for in the
 * sources, and what heals so is not taken out.
 *
 * Trees, their index files and the new snapshot are stored and confirmed, in this order, before the old snapshot goes,
 * and that only with `forget`. Running it again finds what it stored before.
 * @throws INDEX_DAMAGED, also if originals are to go of which something lies in packs that no index file lists; PACK_DAMAGED if packs are missing that the index lists; what the storage throws when it cannot read: that is no damage; CANCELLED, LOCK_LOST
 */
export async function repairSnapshots(
  repository: Repository,
  request: SnapshotRepairRequest,
  context: EngineContext,
): Promise<SnapshotRepairResult> {
  const { signal } = context;
  await refuseMissingPacks(repository, context);
  const healedCount = await heal(repository, request, context);
  // Without the originals nobody could have their content back.
  if (request.forget && !request.dryRun) {
    await refuseUnlistedCopies(repository, request.snapshots, context);
  }
  const { index, ...files } = await loadIndexFiles(repository, { signal });
  const indexed = new IndexedRepository(repository, index, files);
  const writer = request.dryRun ? undefined : new BlobWriter(indexed, context);
  const trees = new TreeRepair(indexed, writer, context);
  let modifiedCount = 0;
  for (const snapshot of request.snapshots) {
    throwIfAborted(signal);
    request.listener.started(snapshot);
    const tree = await trees.repair(snapshot.tree, (path, loss) =>
      request.listener.loss(path, loss),
    );
    await writer?.finish();
    const outcome = await finish({ indexed, writer }, { snapshot, tree, request }, context);
    if (outcome.kind !== 'whole') modifiedCount++;
    request.listener.ended(snapshot, outcome);
  }
  return { modifiedCount, healedCount };
}

/**
 * Content counts as there if the index lists it: with packs gone that it lists, nothing would be found missing. Whether
 * they are gone for good, or their folder is not there just now, is the question of who repairs the index.
 */
async function refuseMissingPacks(repository: Repository, context: EngineContext): Promise<void> {
  const { signal } = context;
  const index = await loadIndex(repository, { signal });
  const { size: packCount } = await missingPacks({ repository, index }, { signal });
  if (packCount === 0) return;
  throw new HoldfastError('PACK_DAMAGED', {
    message: 'packs that the index lists are missing or cut short',
    details: { packCount },
    hint: 'Nothing was changed. Run "holdfast repair index" first, then repair the snapshots.',
  });
}

/** Stores what the sources have of the missing blobs. Trees that come back may lead to further ones. */
async function heal(
  repository: Repository,
  { snapshots, sources, dryRun }: SnapshotRepairRequest,
  context: EngineContext,
): Promise<number> {
  if (dryRun || (!sources.repository && !sources.files)) return 0;
  const { signal } = context;
  for (let sum = 0; ; ) {
    const indexed = new IndexedRepository(repository, await loadIndex(repository, { signal }));
    const wanted = await findWanted(indexed, snapshots, context);
    if (wanted.size === 0) return sum;
    const writer = new IndexWriter(repository, { signal });
    const target = { indexed, writer };
    const count = await healBlobs(wanted, { sources, target }, context);
    await writer.flush();
    if (count === 0) return sum;
    sum += count;
  }
}

async function finish(
  {
    indexed,
    writer,
  }: { readonly indexed: IndexedRepository; readonly writer?: BlobWriter | undefined },
  done: {
    readonly snapshot: StoredSnapshot;
    readonly tree: Id | undefined;
    readonly request: SnapshotRepairRequest;
  },
  context: EngineContext,
): Promise<SnapshotOutcome> {
  const { signal } = context;
  const { repository } = indexed;
  const { snapshot, tree, request } = done;
  const { forget, dryRun, lock } = request;
  if (tree === snapshot.tree) return { kind: 'whole' };
  const isRemoved = forget && !dryRun;
  const { id: oldId } = snapshot;
  const removal = { signal, isConfirmed: true };
  if (tree === undefined) {
    if (isRemoved) await removeSnapshot(repository, oldId, removal);
    return { kind: 'lost', isRemoved };
  }
  const known = request.existing.find((other) => isRepairOf(other, snapshot, tree));
  if (dryRun) return { kind: 'repaired', newId: known?.id, isNew: !known, isRemoved };
  const data = { indexed, own: writer?.stored, marked: 'shared' } as const;
  const publication = { snapshot: repairedOf(snapshot, tree, forget), lock, data, oldId };
  const store = isRemoved ? replaceSnapshot : publishSnapshot;
  if (known && isRemoved) await removeSnapshot(repository, oldId, removal);
  const newId = known?.id ?? (await store(repository, publication, context));
  return { kind: 'repaired', newId, isNew: !known, isRemoved };
}

function isRepairOf(other: StoredSnapshot, snapshot: StoredSnapshot, tree: Id): boolean {
  return (
    other.original === snapshot.id &&
    other.tree === tree &&
    compareTimestamps(other.time, snapshot.time) === 0
  );
}

function repairedOf({ id, ...snapshot }: StoredSnapshot, tree: Id, forget: boolean): Snapshot {
  const before = snapshot.tags ?? [];
  const tags = forget || before.includes(repairedTag) ? before : [...before, repairedTag];
  return { ...snapshot, tree, original: id, ...(tags.length > 0 ? { tags } : {}) };
}
