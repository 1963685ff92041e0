import type { CallOptions } from '../storage/backend.ts';
import type { StoredLock } from './lock-codec.ts';
import type { HeldLock } from './lock-holder.ts';
import { judgeLock, type ProcessProbe, timeMs } from './lock-judge.ts';
import { loadLocks } from './lock-list.ts';
import { lockStaleMs } from './lock-times.ts';
import type { Repository } from './repository.ts';

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

/**
 * The work of others that holds a lock and seems alive: locks that were not renewed for half an hour are left out. Who
 * sleeps so long proves what he refers to when he wakes, before he changes anything.
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
    .filter((lock) => judgeLock(lock, probe, nowMs) === 'alive')
    .map((lock) => ({ lock, beganMs: beganMs(lock, nowMs) }));
}

/**
 * How long it runs is told by one clock, its own, and the last renewal is less than half an hour ago. Both differences
 * are right even where that clock is not.
 */
function beganMs({ own, time }: StoredLock, nowMs: number): number | undefined {
  if (!own) return undefined;
  return nowMs - Math.max(0, timeMs(time) - timeMs(own.began)) - lockStaleMs;
}
