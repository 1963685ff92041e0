import { forEachConcurrent } from '../base/concurrency.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { timestampFromNs } from '../base/timestamp.ts';
import type { CallOptions } from '../storage/backend.ts';
import type { Id } from './id.ts';
import { decodeLock, type LockRecord, type StoredLock } from './lock-codec.ts';
import type { Repository } from './repository.ts';
import { formatTime, localZone } from './time-format.ts';

/** Age from which a lock no longer has a living holder: it would have been renewed several times. */
export const lockStaleMs: number = 30 * 60_000;

/** Pauses before a lock that cannot be read is looked at again: another program may be writing it. */
const unreadablePausesMs: readonly number[] = [5_000, 10_000, 20_000];

/** What tells a lock of a dead process: valid for locks of this machine. */
export interface ProcessProbe {
  readonly hostname: string;
  processExists(pid: number): boolean;
}

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
  readonly exclusive: boolean;
  /** Files of the asker himself. */
  readonly own: ReadonlySet<Id>;
  readonly probe: ProcessProbe;
}

/**
 * Makes sure that no lock stands against the wanted one: an exclusive one suffers none beside it, another only others
 * that are not exclusive. Locks of dead processes stand, too, until somebody removes them.
 * @throws REPOSITORY_LOCKED naming the holder; LOCK_DAMAGED after 35 s for a lock that cannot be read
 */
export async function assertNoConflict(
  repository: Repository,
  wanted: WantedLock,
  options: CallOptions = {},
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    const { locks, unreadable } = await loadLocks(repository, options);
    const conflict = locks.find(
      (lock) => !wanted.own.has(lock.id) && (wanted.exclusive || lock.exclusive),
    );
    if (conflict) throw lockedBy(repository, conflict, wanted.probe);
    const [first] = unreadable.filter(({ id }) => !wanted.own.has(id));
    if (!first) return;
    const pauseMs = unreadablePausesMs[attempt];
    if (pauseMs === undefined) throw invalidLock(first);
    await repository.environment.clock.sleep(pauseMs, options.signal);
  }
}

/** True for a lock whose holder is gone: not renewed for half an hour, or of a dead process of this machine. */
export function isStaleLock(lock: LockRecord, probe: ProcessProbe, nowMs: number): boolean {
  return nowMs - lock.time.seconds * 1000 > lockStaleMs || isOfDeadProcess(lock, probe);
}

function isOfDeadProcess(lock: LockRecord, probe: ProcessProbe): boolean {
  return lock.hostname === probe.hostname && !probe.processExists(lock.pid);
}

function lockedBy(repository: Repository, lock: StoredLock, probe: ProcessProbe): HoldfastError {
  const { clock } = repository.environment;
  const kind = lock.exclusive ? ' exclusively' : '';
  const who = `process ${lock.pid} of ${lock.username} on ${lock.hostname}`;
  const isStale = isStaleLock(lock, probe, clock.wallMs());
  const now = timestampFromNs(clock.wallNs());
  return new HoldfastError('REPOSITORY_LOCKED', {
    message: `the repository is locked${kind} by ${who}`,
    details: {
      lockId: lock.id,
      since: formatTime(lock.time, localZone),
      ageSeconds: Math.max(0, now.seconds - lock.time.seconds),
    },
    ...(isStale && { hint: 'Its holder is gone: run "holdfast unlock", then try again.' }),
  });
}

function invalidLock({ id, error }: LockList['unreadable'][number]): HoldfastError {
  return new HoldfastError('LOCK_DAMAGED', {
    message: 'a lock file cannot be read',
    details: { lockId: id },
    hint: 'If no other program uses the repository, run "holdfast unlock --remove-all".',
    cause: error,
  });
}
