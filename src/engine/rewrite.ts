import { publishSnapshot, replaceSnapshot } from './publish-snapshot.ts';
import { endsWork } from '../base/errors.ts';
import { throwIfAborted } from '../base/abort.ts';
import { equalBytes, toHex } from '../base/bytes.ts';
import type { Monitor } from '../base/monitor.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { type Id, idBytes } from '../repository/id.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { HeldLock } from '../repository/locks.ts';
import {
  encodeSnapshot,
  removeSnapshot,
  type Snapshot,
  type SnapshotSummary,
  type StoredSnapshot,
} from '../repository/snapshots.ts';
import { BlobWriter } from './packs/blob-writer.ts';
import type { EngineContext } from './context.ts';
import { RewriteProgress, type RewriteProgressMonitor } from './rewrite/rewrite-progress.ts';
import { type Selection, TreeFilter } from './rewrite/tree-filter.ts';

export type { Selection } from './rewrite/tree-filter.ts';

/** The tag of rewritten snapshots whose originals stay. */
const rewriteTag = 'rewrite';

/** What is to be different. */
export interface RewriteChange {
  /** Which entries stay; absent: all. */
  readonly selection?: Selection | undefined;
  readonly hostname?: string | undefined;
  readonly time?: Timestamp | undefined;
  /** Count files and bytes where a snapshot says nothing of them. */
  readonly withSummary: boolean;
}

/** What a rewrite tells. */
export interface RewriteMonitor extends Monitor, RewriteProgressMonitor {
  snapshotStarted?(snapshot: StoredSnapshot): void;
  /** It is stored anew; without an id in a dry run. */
  snapshotRewritten?(snapshot: StoredSnapshot, newId: Id | undefined): void;
  /** The one before was removed, or would be. */
  snapshotRemoved?(snapshot: StoredSnapshot): void;
}

/** Which snapshots are changed how, and what becomes of the originals. */
export interface RewriteRequest {
  readonly snapshots: readonly StoredSnapshot[];
  /** All that there are: what an earlier rewrite stored before it was cut off is not stored again. */
  readonly existing: readonly StoredSnapshot[];
  readonly change: RewriteChange;
  /** Remove the snapshots that were rewritten. */
  readonly forget: boolean;
  readonly dryRun: boolean;
  readonly lock: HeldLock | undefined;
}

/** What a rewrite changed; in a dry run what it would have. */
export interface RewriteResult {
  readonly changedCount: number;
  /** Snapshots that could not be read, which were told to the monitor. */
  readonly failed: readonly Id[];
}

/**
 * Stores snapshots anew, without some of their entries or with other metadata. The new trees come first, then their
 * index, then the snapshot, and only then the old one is removed, if at all. A snapshot that stays as it is, or that was
 * rewritten in this way before, is not stored again.
 * @throws CANCELLED, LOCK_LOST and what the storage throws; snapshots told of before are rewritten
 */
export async function rewriteSnapshots(
  indexed: IndexedRepository,
  request: RewriteRequest,
  context: EngineContext<RewriteMonitor>,
): Promise<RewriteResult> {
  const { monitor, signal } = context;
  const writer = request.dryRun ? undefined : new BlobWriter(indexed, context);
  const progress = new RewriteProgress(request.snapshots.length, monitor);
  const failed: Id[] = [];
  let changedCount = 0;
  for (const snapshot of request.snapshots) {
    throwIfAborted(signal);
    monitor.snapshotStarted?.(snapshot);
    let rewritten: Snapshot | undefined;
    try {
      const how = { snapshot, ...request };
      rewritten = await rewrite({ indexed, writer, progress }, how, context);
    } catch (error) {
      // What could not be stored is not the snapshot's fault, and would fail the next one as well.
      if (endsWork(error) || writer?.hasFailed) throw error;
      failed.push(snapshot.id);
      monitor.problem({ item: `snapshot ${snapshot.id}`, during: 'scan', error });
      progress.finish(true);
      continue;
    }
    if (rewritten) {
      const change = { snapshot, rewritten, ...request };
      if (await replace({ indexed, writer }, change, context)) changedCount++;
    }
    progress.finish(false);
  }
  return { changedCount, failed };
}

interface Parts {
  readonly indexed: IndexedRepository;
  readonly writer: BlobWriter | undefined;
  readonly progress: RewriteProgress;
}

/** The snapshot as it will be; undefined if it stays as it is. */
async function rewrite(
  { indexed, writer, progress }: Parts,
  { snapshot, change, forget }: RewriteRequest & { readonly snapshot: StoredSnapshot },
  context: EngineContext,
): Promise<Snapshot | undefined> {
  const { id, ...before } = snapshot;
  const { selection, hostname, time } = change;
  let { tree, summary } = before;
  if (selection || (change.withSummary && !summary)) {
    const onFolder = (path: Uint8Array): void => progress.enter(snapshot, path);
    const filter = new TreeFilter(indexed, { selection, writer, onFolder }, context);
    const root = idBytes(tree);
    const filtered = await filter.filter(root);
    // As restic: where nothing fits, the patterns are taken for wrong.
    if (selection?.isInclude === true && filtered.isEmpty) return undefined;
    summary = summaryOf(summary, filter.counts);
    tree = toHex(filtered.tree);
  }
  const isSame = tree === before.tree && sameCounts(summary, before.summary);
  if (isSame && hostname === undefined && time === undefined) return undefined;
  return {
    ...before,
    tree,
    ...(summary ? { summary } : {}),
    ...(hostname === undefined ? {} : { hostname }),
    ...(time === undefined ? {} : { time }),
    original: id,
    ...(forget ? {} : { tags: withTag(before.tags ?? []) }),
  };
}

function summaryOf(
  summary: SnapshotSummary | undefined,
  counts: TreeFilter['counts'],
): SnapshotSummary {
  return {
    ...summary,
    totalFilesProcessed: counts.fileCount,
    totalBytesProcessed: counts.sizeBytes,
  };
}

function sameCounts(a: SnapshotSummary | undefined, b: SnapshotSummary | undefined): boolean {
  return (
    (a === undefined) === (b === undefined) &&
    a?.totalFilesProcessed === b?.totalFilesProcessed &&
    a?.totalBytesProcessed === b?.totalBytesProcessed
  );
}

function withTag(tags: readonly string[]): readonly string[] {
  return tags.includes(rewriteTag) ? tags : [...tags, rewriteTag];
}

/** One that was stored in the place of `snapshot` and is the same as `rewritten`. */
function storedBefore({
  snapshot,
  rewritten,
  existing,
}: RewriteRequest & {
  readonly snapshot: StoredSnapshot;
  readonly rewritten: Snapshot;
}): StoredSnapshot | undefined {
  const wanted = encodeSnapshot(rewritten);
  return existing.find(
    (other) => other.original === snapshot.id && equalBytes(encodeSnapshot(other), wanted),
  );
}

/**
 * Stores the new snapshot and all that it needs, then removes the old one if that is wanted.
 * @returns false if there was nothing left to do
 */
async function replace(
  { indexed, writer }: Pick<Parts, 'indexed' | 'writer'>,
  request: RewriteRequest & { readonly snapshot: StoredSnapshot; readonly rewritten: Snapshot },
  context: EngineContext<RewriteMonitor>,
): Promise<boolean> {
  const { monitor, signal } = context;
  const { snapshot, rewritten, lock, forget } = request;
  const before = storedBefore(request);
  if (before && !forget) return false;
  if (!writer) {
    monitor.snapshotRewritten?.(snapshot, before?.id);
    if (forget) monitor.snapshotRemoved?.(snapshot);
    return true;
  }
  await writer.finish();
  const data = { indexed, own: writer.stored, marked: 'shared' } as const;
  const publication = { snapshot: rewritten, lock, data };
  const { repository } = indexed;
  const onStored = (newId: Id): void => monitor.snapshotRewritten?.(snapshot, newId);
  if (!forget) {
    onStored(await publishSnapshot(repository, publication, context));
    return true;
  }
  const { id: oldId } = snapshot;
  if (before) {
    onStored(before.id);
    await removeSnapshot(repository, oldId, { signal, isConfirmed: true });
  } else await replaceSnapshot(repository, { ...publication, oldId, onStored }, context);
  monitor.snapshotRemoved?.(snapshot);
  return true;
}
