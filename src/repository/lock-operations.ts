import type { CallOptions } from '../storage/backend.ts';
import type { StoredLock } from './lock-codec.ts';
import type { HeldLock } from './lock-holder.ts';
import { judgeLock, type ProcessProbe, timeMs } from './lock-judge.ts';
import { loadLocks } from './lock-list.ts';
import { lockStaleMs } from './lock-times.ts';
import type { Repository } from './repository.ts';

/** Whose work counts as running. */
export interface OperationsOptions extends CallOptions {
  readonly probe: ProcessProbe;
  /** Locks of the asker himself. */
  readonly except: readonly HeldLock[];
}

/** Work that may be going on in a repository. */
export interface RunningOperation {
  readonly lock: StoredLock;
  /**
   * It began at this time or later, in milliseconds since 1970 by this machine's clock, whatever its own clock says.
   * Undefined for other programs, which do not tell.
   */
  readonly beganMs: number | undefined;
}

/** A lock that was not renewed for so long stands for no work, whichever of the two clocks is wrong. */
const operationForgottenMs = 24 * 60 * 60_000;

/**
 * The work of others that holds a lock and may be alive. Left out are locks of processes that are gone for sure, and those
 * that were not renewed for a day: who sleeps so long proves what he refers to when he wakes, before he changes anything.
 * @throws LOCK_DAMAGED for a lock that cannot be read: nobody knows what it stands for
 */
export async function loadRunningOperations(
  repository: Repository,
  { probe, except, signal }: OperationsOptions,
): Promise<RunningOperation[]> {
  const { locks, unreadable } = await loadLocks(repository, { signal });
  if (unreadable[0]) throw unreadable[0].error;
  const instances = new Set(except.map(({ instance }) => instance));
  const nowMs = repository.environment.clock.wallMs();
  return locks
    .filter(({ own }) => !own || !instances.has(own.instance))
    .filter((lock) => judgeLock(lock, probe, nowMs) !== 'dead')
    .filter((lock) => ageMs(lock, nowMs) < operationForgottenMs)
    .map((lock) => ({ lock, beganMs: beganMs(lock, nowMs) }));
}

/** Since when it was not renewed. */
function ageMs({ time }: StoredLock, nowMs: number): number {
  return nowMs - timeMs(time);
}

/**
 * How long it ran until its last renewal is told by one clock, its own. That renewal is less than half an hour ago if it
 * lives, even where its clock is wrong, and else as long ago as it says.
 */
function beganMs(lock: StoredLock, nowMs: number): number | undefined {
  const { own, time } = lock;
  if (!own) return undefined;
  const ranMs = Math.max(0, timeMs(time) - timeMs(own.began));
  return nowMs - ranMs - Math.max(lockStaleMs, ageMs(lock, nowMs));
}
