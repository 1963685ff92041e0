import type { Id } from '../repository/id.ts';
import type { StoredByWork } from '../repository/index-writer.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { HeldLock } from '../repository/locks.ts';
import type { Repository } from '../repository/repository.ts';
import { removeSnapshot, type Snapshot } from '../repository/snapshots.ts';
import type { EngineContext } from './context.ts';
import { type MarkedBefore, proveReferences } from './prove-references.ts';
import { storeProven } from './store-proven.ts';

/** A snapshot that is to be stored, and what must be known for that. */
export interface Publication {
  readonly snapshot: Snapshot;
  /** Absent without locks. */
  readonly lock: HeldLock | undefined;
  /** The lock is released next. */
  readonly isLast?: boolean;
  /** Where its data is; absent if another snapshot refers to the very same tree, and stays meanwhile. */
  readonly data?: {
    readonly indexed: IndexedRepository;
    /** What this work stored; absent if nothing. */
    readonly own: StoredByWork | undefined;
    readonly marked: MarkedBefore;
    /** Its packs were looked for under `lock`, and another snapshot refers to the very same tree. */
    readonly isLookedAt?: boolean;
  };
}

/**
 * Stores a snapshot once it is proven that all it refers to is there to stay. All its data must be stored and listed in
 * index files before.
 * @returns its id
 * @throws as `storeProven`, `proveReferences`: then there is no snapshot
 */
export function publishSnapshot(
  repository: Repository,
  { snapshot, lock, isLast = false, data }: Publication,
  context: EngineContext,
): Promise<Id> {
  const { signal } = context;
  const prove = async (): Promise<void> => {
    if (!data) return;
    const { indexed, own, marked } = data;
    const proof = { known: indexed.files, own, marked, tree: snapshot.tree };
    await proveReferences(indexed, proof, context);
  };
  const isLookedAt = data?.isLookedAt === true && (data.own?.indexIds.length ?? 0) === 0;
  return storeProven(snapshot, { repository, lock, prove, signal, isLast, isLookedAt });
}

/**
 * Stores a snapshot in the place of another one, which is removed only when the new one is there.
 * @returns the id of the new one
 * @throws as `publishSnapshot`, `removeSnapshot`: then the old one is there, or the new one, or both
 */
export async function replaceSnapshot(
  repository: Repository,
  publication: Publication & {
    readonly oldId: Id;
    /** The new one is there; the old one goes next. */
    readonly onStored?: (newId: Id) => void;
  },
  context: EngineContext,
): Promise<Id> {
  const { oldId, onStored } = publication;
  const newId = await publishSnapshot(repository, publication, context);
  onStored?.(newId);
  // Equal in every byte: the old file is the new one.
  if (newId === oldId) return newId;
  await removeSnapshot(repository, oldId, { signal: context.signal, isConfirmed: true });
  return newId;
}
