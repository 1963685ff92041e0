import { HoldfastError } from '../base/errors.ts';
import type { Id } from '../repository/id.ts';
import type { HeldLock } from '../repository/locks.ts';
import type { Repository } from '../repository/repository.ts';
import { encodeSnapshot, type Snapshot } from '../repository/snapshots.ts';
import { putConfirmed } from '../repository/unpacked.ts';
import type { CallOptions } from '../storage/backend.ts';

/** How often the work may be interrupted by sleep between the proof and the snapshot before it is given up. */
const attemptCountMax = 5;

/** Where a snapshot is stored, under which lock, and how it is proven. */
export interface ProvenRequest extends CallOptions {
  readonly repository: Repository;
  /** Absent without locks. */
  readonly lock: HeldLock | undefined;
  /** The lock is released next. */
  readonly isLast?: boolean;
  /**
   * Makes sure that all that the snapshot refers to is there and stays; may store what is not. May be called several
   * times.
   * @throws when something is lost for good
   */
  readonly prove: (signal: AbortSignal | undefined) => Promise<void>;
  /** Nothing was stored, and what was looked at under this lock proves it while that is young: see `isProvenByLook`. */
  readonly isLookedAt?: boolean;
}

/**
 * Stores a snapshot after the proof of what it refers to, and returns only when the two belong together: the lock was
 * held from before the proof until after the snapshot was stored, and no prune marked anything meanwhile. If it was not held, because the process was stopped or
 * the machine slept in between, the proof is made again; if that fails, the snapshot is removed.
 * @throws LOCK_LOST, REPOSITORY_LOCKED, CANCELLED; what `prove` and the storage throw. Then there is no snapshot
 * @see docs/CONCURRENCY.md#who-slept
 */
export async function storeProven(snapshot: Snapshot, request: ProvenRequest): Promise<Id> {
  const { repository, signal } = request;
  // Sealed once: every attempt stores the same file.
  const { id, sealed } = repository.sealUnpacked('snapshot', encodeSnapshot(snapshot));
  const file = { type: 'snapshot', name: id, bytes: sealed } as const;
  const state = { mayBeStored: false };
  const store = async (): Promise<void> => {
    // A put that fails, or whose confirmation does, may have had its effect all the same.
    state.mayBeStored = true;
    await putConfirmed(repository.backend, file, { signal });
  };
  const prove = async (): Promise<Id> => {
    for (let attempt = 1; attempt <= attemptCountMax; attempt++) {
      if (await isUnbroken(request, store)) return id;
    }
    throw interrupted();
  };
  const { lock, isLast } = request;
  try {
    if (await isProvenByLook(request, store)) return id;
    return await (lock ? lock.publish(prove, { signal, isLast }) : prove());
  } catch (error) {
    if (state.mayBeStored) await removeUnproven(repository, id);
    throw error;
  }
}

/**
 * Stores a snapshot that refers to nothing but what was found under the lock a moment ago, as the one before it does. All
 * that is known was looked at within a minute, and the lock was there before and is there after: nobody removed anything
 * that was not marked, and known so, before. That is four requests and two listings less than to prove it all again.
 * @returns false if that cannot be said; the snapshot may be stored then, and is to be proven
 */
async function isProvenByLook(
  { lock, isLookedAt = false, repository, signal }: ProvenRequest,
  store: () => Promise<void>,
): Promise<boolean> {
  if (!lock || !isLookedAt) return false;
  await lock.settled;
  if (!lock.isYoung() || repository.absences.count > 0) return false;
  await store();
  await lock.confirm({ signal });
  return lock.isYoung() && repository.absences.count === 0;
}

/** Proves and stores. @returns false if the lock was not held all the time */
async function isUnbroken(
  { repository, lock, prove, signal }: ProvenRequest,
  store: () => Promise<void>,
): Promise<boolean> {
  let isBroken = false;
  const end = repository.absences.addCheck(() => {
    isBroken = true;
    return Promise.reject(interrupted());
  });
  try {
    await prove(signal);
    await lock?.confirm({ signal });
    await store();
    await lock?.confirm({ signal });
    return !isBroken;
  } catch (error) {
    if (isBroken && !signal?.aborted) return false;
    throw error;
  } finally {
    end();
  }
}

function interrupted(): HoldfastError {
  return new HoldfastError('LOCK_LOST', {
    message: 'the computer slept while the snapshot was being stored',
  });
}

/** A snapshot that nobody was told of must not stay: what it refers to may be gone. */
async function removeUnproven(repository: Repository, id: Id): Promise<void> {
  // The error that led here is the one to tell; check finds what is left if the storage fails here, too.
  await repository.retract('snapshot', id).catch(() => undefined);
}
