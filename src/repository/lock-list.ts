import { forEachConcurrent } from '../base/concurrency.ts';
import { describeError, HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type Monitor, silentMonitor } from '../base/monitor.ts';
import type { CallOptions } from '../storage/backend.ts';
import { shortId, type Id } from './id.ts';
import { decodeLock, type LockKind, type StoredLock } from './lock-codec.ts';
import { describeHolder, judgeLock, kindOfLock, type ProcessProbe } from './lock-judge.ts';
import type { Repository } from './repository.ts';

/** Pauses before a lock that cannot be read is looked at again: another program may be writing it. */
const unreadablePausesMs: readonly number[] = [5_000, 10_000, 20_000];
/** Who only reads goes on without knowing what it says, and so waits once. */
const passingPausesMs: readonly number[] = unreadablePausesMs.slice(0, 1);

/** Lock files at one time, in no order; those that cannot be read may stand for anything. */
export interface LockList {
  readonly locks: readonly StoredLock[];
  readonly unreadable: readonly { readonly id: Id; readonly error: HoldfastError }[];
}

/** Which locks are read. */
export interface LoadLocksOptions extends CallOptions {
  /** Files of the asker himself: left out without reading them. */
  readonly own?: ReadonlySet<Id> | undefined;
}

/**
 * Reads all lock files. Empty ones, which an interrupted write leaves on some storage, are no locks.
 *
 * A holder renews his lock by writing a new file before he removes the old one. So one that was listed and is gone when it
 * is read may have a successor that came after the listing: then they are listed again, until none but known ones is gone.
 */
export async function loadLocks(
  repository: Repository,
  options: LoadLocksOptions = {},
): Promise<LockList> {
  const gone = new Set<Id>();
  for (;;) {
    const { size } = gone;
    const found = await loadListedLocks(repository, gone, options);
    if (gone.size === size) return found;
  }
}

/** Reads the locks of one listing. @param gone files that are not there any more, which a listing may still have; gets more */
async function loadListedLocks(
  repository: Repository,
  gone: Set<Id>,
  { signal, own }: LoadLocksOptions,
): Promise<LockList> {
  const locks: StoredLock[] = [];
  const unreadable: { id: Id; error: HoldfastError }[] = [];
  const { backend } = repository;
  const files = backend.list('lock', { signal });
  await forEachConcurrent(files, backend.connectionCount, async ({ name: id, sizeBytes }) => {
    if (sizeBytes === 0 || gone.has(id) || own?.has(id)) return;
    try {
      const json = await repository.loadUnpacked('lock', id, { signal });
      locks.push({ ...decodeLock(json), id });
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) gone.add(id);
      else if (!isHoldfastError(error, 'UNPACKED_DAMAGED', 'LOCK_DAMAGED')) throw error;
      else if (error.details['sizeBytes'] !== 0) unreadable.push({ id, error });
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
  readonly look: LockLook;
  /**
   * Files that cannot be read and are passed over, for who only reads: each is told of once, and noted here. Absent: such a
   * file stands against every lock, since it may be anybody's.
   */
  readonly passed?: Set<Id> | undefined;
}

/** The first look, before a lock is written; the second, after; or that of one who was away and comes back. */
export type LockLook = 'first' | 'second' | 'return';

/** Whether a lock that is there stands against the wanted one. @see docs/CONCURRENCY.md */
export function standsAgainst(lock: StoredLock, wanted: WantedLock): boolean {
  const { kind, own, beside } = wanted;
  if (own.has(lock.id) || (lock.own && beside.includes(lock.own.instance))) return false;
  const other = kindOfLock(lock);
  if (kind === 'exclusive' || other === 'exclusive') return true;
  if (kind === 'commit') return !lock.own || other !== 'shared';
  if (kind === 'prune') return other === 'prune' || other === 'commit';
  // A commit suffers what was there before it, so one that comes after the first look is none of our business.
  if (other === 'commit') return kind === 'publish' || wanted.look !== 'second';
  // A prune that took us for gone may be about to delete what we know of.
  return other === 'prune' && wanted.look === 'return';
}

/** Who hears of locks that are removed or passed over. */
export interface LookOptions extends CallOptions {
  readonly monitor?: Monitor | undefined;
}

/**
 * The locks that stand against the wanted one. Those whose holders are gone for sure are removed, which the monitor
 * hears. For one that cannot be read this waits up to 35 s, or 5 s if it is to be passed over: it may be half written.
 */
export async function lookForConflicts(
  repository: Repository,
  wanted: WantedLock,
  options: LookOptions,
): Promise<LockList> {
  for (let attempt = 0; ; attempt++) {
    const found = await loadLocks(repository, { signal: options.signal, own: wanted.own });
    const locks = await withoutDead(repository, found.locks, { ...options, wanted });
    const unreadable = found.unreadable
      .filter(({ id }) => !wanted.passed?.has(id))
      .map(({ id, error }) => ({ id, error: invalidLock(id, error) }));
    const standing = locks.filter((lock) => standsAgainst(lock, wanted));
    const pauseMs = (wanted.passed ? passingPausesMs : unreadablePausesMs)[attempt];
    if (standing.length > 0 || unreadable.length === 0) return { locks: standing, unreadable };
    if (pauseMs === undefined) {
      return { locks: standing, unreadable: withoutPassed(unreadable, wanted, options) };
    }
    await repository.environment.clock.sleep(pauseMs, options.signal);
  }
}

function withoutPassed(
  unreadable: LockList['unreadable'],
  { passed }: WantedLock,
  { monitor = silentMonitor }: LookOptions,
): LockList['unreadable'] {
  if (!passed) return unreadable;
  for (const { id } of unreadable) {
    passed.add(id);
    monitor.note(
      `Warning: the lock file ${id} cannot be read: reading goes on beside it, whoever holds it; ` +
        'if no other program uses the repository, "holdfast unlock --remove-all" removes it',
    );
  }
  return [];
}

async function withoutDead(
  repository: Repository,
  locks: readonly StoredLock[],
  options: LookOptions & { readonly wanted: WantedLock },
): Promise<StoredLock[]> {
  const { probe } = options.wanted;
  const left: StoredLock[] = [];
  const nowMs = repository.environment.clock.wallMs();
  for (const lock of locks) {
    const isDead = judgeLock(lock, probe, nowMs) === 'dead';
    const reason = `removed the lock of ${describeHolder(lock)}: it ended without removing it`;
    if (isDead && (await removeLock(repository, lock.id, { ...options, reason }))) continue;
    left.push(lock);
  }
  return left;
}

/**
 * Removes somebody else's lock, and tells why.
 * @returns false if the storage does not allow it, or fails
 */
export async function removeLock(
  repository: Repository,
  id: Id,
  options: LookOptions & { readonly reason: string },
): Promise<boolean> {
  const { monitor = silentMonitor, signal } = options;
  try {
    await repository.removeUnpacked('lock', id, { signal });
  } catch (error) {
    if (signal?.aborted) throw error;
    if (isHoldfastError(error, 'FILE_NOT_FOUND')) return true;
    monitor.note(`the lock ${shortId(id)} could not be removed: ${describeError(error)}`);
    return false;
  }
  monitor.note(options.reason);
  return true;
}

function invalidLock(id: Id, cause: HoldfastError): HoldfastError {
  return new HoldfastError('LOCK_DAMAGED', {
    message: 'a lock file cannot be read',
    details: { lockId: id },
    hint: 'If no other program uses the repository, run "holdfast unlock --remove-all".',
    cause,
  });
}
