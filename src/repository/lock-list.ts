import { forEachConcurrent } from '../base/concurrency.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { CallOptions } from '../storage/backend.ts';
import type { Id } from './id.ts';
import { decodeLock, type LockKind, type StoredLock } from './lock-codec.ts';
import { kindOfLock, lockedBy, type ProcessProbe } from './lock-judge.ts';
import type { Repository } from './repository.ts';

/** Pauses before a lock that cannot be read is looked at again: another program may be writing it. */
const unreadablePausesMs: readonly number[] = [5_000, 10_000, 20_000];

export interface LockList {
  readonly locks: readonly StoredLock[];
  readonly unreadable: readonly { readonly id: Id; readonly error: HoldfastError }[];
}

/**
 * Reads all lock files. Empty ones, which an interrupted write leaves on some storage, are no locks; one that is
 * removed meanwhile is left out.
 */
export async function loadLocks(
  repository: Repository,
  options: CallOptions = {},
): Promise<LockList> {
  const locks: StoredLock[] = [];
  const unreadable: { id: Id; error: HoldfastError }[] = [];
  const { backend } = repository;
  const files = backend.list('lock', options);
  await forEachConcurrent(files, backend.connectionCount, async ({ name: id, sizeBytes }) => {
    if (sizeBytes === 0) return;
    try {
      const json = await repository.loadUnpacked('lock', id, options);
      locks.push({ ...decodeLock(json), id });
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) return;
      if (!isHoldfastError(error, 'UNPACKED_DAMAGED', 'LOCK_DAMAGED')) throw error;
      if (error.details['sizeBytes'] !== 0) unreadable.push({ id, error });
    }
  });
  return { locks, unreadable };
}

/** The lock that is wanted, for the look at those that are there. */
export interface WantedLock {
  readonly kind: LockKind;
  /** Files of the asker himself. */
  readonly own: ReadonlySet<Id>;
  /** Instances of locks that the same work holds. */
  readonly beside: readonly string[];
  readonly probe: ProcessProbe;
}

/** Whether a lock that is there stands against the wanted one. @see docs/CONCURRENCY.md */
export function standsAgainst(lock: StoredLock, { kind, own, beside }: WantedLock): boolean {
  if (own.has(lock.id) || (lock.own && beside.includes(lock.own.instance))) return false;
  const other = kindOfLock(lock);
  if (kind === 'exclusive' || other === 'exclusive') return true;
  if (kind === 'commit') return !lock.own || other !== 'shared';
  if (kind === 'prune') return other !== 'shared';
  return other === 'commit';
}

/**
 * Makes sure that no lock stands against the wanted one. Locks of dead processes stand, too, until somebody removes them.
 * @throws REPOSITORY_LOCKED naming the holder; LOCK_DAMAGED after 35 s for a lock that cannot be read
 */
export async function assertNoConflict(
  repository: Repository,
  wanted: WantedLock,
  options: CallOptions = {},
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const { locks, unreadable } = await loadLocks(repository, options);
    const conflict = locks.find((lock) => standsAgainst(lock, wanted));
    if (conflict) throw lockedBy(conflict, wanted.probe, repository.environment.clock);
    const [first] = unreadable.filter(({ id }) => !wanted.own.has(id));
    if (!first) return;
    const pauseMs = unreadablePausesMs[attempt];
    if (pauseMs === undefined) throw invalidLock(first);
    await repository.environment.clock.sleep(pauseMs, options.signal);
  }
}

function invalidLock({ id, error }: LockList['unreadable'][number]): HoldfastError {
  return new HoldfastError('LOCK_DAMAGED', {
    message: 'a lock file cannot be read',
    details: { lockId: id },
    hint: 'If no other program uses the repository, run "holdfast unlock --remove-all".',
    cause: error,
  });
}
