import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type Monitor, silentMonitor } from '../base/monitor.ts';
import { randomBelow } from '../base/random.ts';
import type { CallOptions } from '../storage/backend.ts';
import type { Id } from './id.ts';
import type { LockKind, StoredLock } from './lock-codec.ts';
import {
  describeHolder,
  judgeLock,
  kindOfLock,
  lockedBy,
  type ProcessProbe,
} from './lock-judge.ts';
import { type LockList, type LockLook, removeLock } from './lock-list.ts';
import {
  collisionCountMax,
  collisionPauseMsMax,
  commitPatienceMs,
  commitPauseMs,
  lockStaleMs,
  lockWatchMs,
  retryPauseMs,
  retryPauseMsMax,
} from './lock-times.ts';
import type { Repository } from './repository.ts';

/** What lock is wanted, and how long others are waited for: `retryMs` milliseconds, by default 0. */
export interface LockWaitOptions extends CallOptions {
  readonly kind: LockKind;
  readonly look: LockLook;
  readonly retryMs?: number | undefined;
  readonly probe: ProcessProbe;
  readonly monitor?: Monitor | undefined;
}

/** A lock file in the way; without `lock` it cannot be read. */
interface Blocker {
  readonly id: Id;
  readonly lock?: StoredLock;
  readonly error: HoldfastError;
  readonly isSuspect: boolean;
  /** Until when it is waited for. */
  readonly endMs: number;
}

/**
 * The patience of one who wants a lock, and what he learns while he waits.
 *
 * A living holder writes a new file every five minutes. So a file that stands unchanged for longer, by the monotonic
 * clock of him who watches it, has no living holder that renews, whatever the clocks say that wrote it.
 */
export class LockWait {
  readonly #repository: Repository;
  readonly #options: LockWaitOptions;
  readonly #startMs: number;
  /** When each file in the way was first seen, by the monotonic clock. */
  #firstSeenMs = new Map<Id, number>();
  /** The file of each holder that was seen first; undefined once there was another: it lives. */
  readonly #fileOf = new Map<string, Id | undefined>();
  #pauseMs = retryPauseMs;
  #collisionCount = 0;
  readonly #told = new Set<Id>();

  constructor(repository: Repository, options: LockWaitOptions) {
    this.#repository = repository;
    this.#options = options;
    this.#startMs = this.#nowMs();
  }

  /**
   * Removes what is proven to be left among what stands in the way; pauses if something still does.
   * @returns true if nothing stands in the way any more
   * @throws REPOSITORY_LOCKED, LOCK_DAMAGED when the patience is over
   */
  async isClear(found: LockList): Promise<boolean> {
    const standing: Blocker[] = [];
    for (const blocker of this.#watch(found)) {
      if (this.#mayPass(blocker)) continue;
      if (!(await this.#removeIfLeft(blocker))) standing.push(blocker);
    }
    if (standing.length === 0) return true;
    await this.#pause(standing);
    return false;
  }

  /** After the second look found a lock that the first did not: of two that began at once, one comes first by chance. */
  async afterCollision(error: unknown): Promise<void> {
    const { clock, random } = this.#repository.environment;
    const isOver = this.#nowMs() >= this.#startMs + (this.#options.retryMs ?? 0);
    this.#collisionCount++;
    if (!isHoldfastError(error, 'REPOSITORY_LOCKED')) throw error;
    if (isOver && this.#collisionCount > collisionCountMax) throw error;
    // Who is met again and again is not one that began at the same time. Each try writes a file and reads those of all.
    const doublings = Math.max(0, this.#collisionCount - collisionCountMax);
    const pauseMsMax = Math.min(collisionPauseMsMax * 2 ** doublings, retryPauseMsMax);
    await clock.sleep(randomBelow(random, pauseMsMax), this.#options.signal);
  }

  #watch({ locks, unreadable }: LockList): Blocker[] {
    const { clock } = this.#repository.environment;
    const nowMs = this.#nowMs();
    const seen = new Map<Id, number>();
    for (const { id } of [...locks, ...unreadable]) {
      seen.set(id, this.#firstSeenMs.get(id) ?? nowMs);
    }
    this.#firstSeenMs = seen;
    const { probe } = this.#options;
    const blockers = locks.map((lock): Blocker => {
      const { id } = lock;
      const isSuspect =
        !this.#isRenewed(lock) && judgeLock(lock, probe, clock.wallMs()) !== 'alive';
      const endMs = this.#endMs(lock, isSuspect);
      return { id, lock, error: lockedBy(lock, probe, clock), isSuspect, endMs };
    });
    const retryEndMs = this.#startMs + (this.#options.retryMs ?? 0);
    const damaged = unreadable.map(
      ({ id, error }): Blocker => ({ id, error, isSuspect: false, endMs: retryEndMs }),
    );
    return [...blockers, ...damaged];
  }

  /** Whether its holder replaced an earlier file since this began to watch. */
  #isRenewed({ id, own, hostname, username, pid }: StoredLock): boolean {
    const holder = own?.instance || JSON.stringify([hostname, username, pid]);
    if (!this.#fileOf.has(holder)) this.#fileOf.set(holder, id);
    if (this.#fileOf.get(holder) !== id) this.#fileOf.set(holder, undefined);
    return this.#fileOf.get(holder) === undefined;
  }

  #endMs(lock: StoredLock, isSuspect: boolean): number {
    const retryMs = this.#options.retryMs ?? 0;
    const endMs = this.#startMs + Math.max(retryMs, this.#isBrief(lock) ? commitPatienceMs : 0);
    return isSuspect ? Math.max(endMs, this.#seenMs(lock.id) + lockWatchMs) : endMs;
  }

  /** A commit, and what a commit waits for, is over soon. */
  #isBrief(lock: StoredLock): boolean {
    const kind = kindOfLock(lock);
    return kind === 'commit' || (kind === 'publish' && this.#options.kind === 'commit');
  }

  /** Shared work waits for a commit only so as not to load an index that is just replaced: it may run beside it. */
  #mayPass({ lock }: Blocker): boolean {
    const { kind, look } = this.#options;
    if (!lock || kind !== 'shared' || look !== 'first' || kindOfLock(lock) !== 'commit')
      return false;
    return this.#nowMs() >= this.#startMs + commitPatienceMs;
  }

  async #removeIfLeft({ id, lock, isSuspect }: Blocker): Promise<boolean> {
    const watchedMs = this.#nowMs() - this.#seenMs(id);
    if (watchedMs < (isSuspect ? lockWatchMs : lockStaleMs)) return false;
    const who = lock ? `the lock of ${describeHolder(lock)}` : `the lock ${id}`;
    const minutes = Math.floor(watchedMs / 60_000);
    return await removeLock(this.#repository, id, {
      ...this.#options,
      reason: `removed ${who}: nobody renewed it for the last ${minutes} minutes`,
    });
  }

  async #pause(standing: readonly Blocker[]): Promise<void> {
    const { clock } = this.#repository.environment;
    const nowMs = this.#nowMs();
    const [first] = standing.toSorted((a, b) => a.endMs - b.endMs);
    if (!first || first.endMs <= nowMs)
      throw first?.error ?? new HoldfastError('REPOSITORY_LOCKED');
    for (const blocker of standing) this.#tell(blocker);
    const isBrief = standing.some(({ lock }) => lock && this.#isBrief(lock));
    const isShort = isBrief && nowMs < this.#startMs + commitPatienceMs;
    const pauseMs = isShort ? commitPauseMs : this.#pauseMs;
    if (!isShort) this.#pauseMs = Math.min(2 * this.#pauseMs, retryPauseMsMax);
    await clock.sleep(Math.min(pauseMs, first.endMs - nowMs), this.#options.signal);
  }

  /** Once for every file. */
  #tell({ id, lock, error, isSuspect, endMs }: Blocker): void {
    if (this.#told.has(id)) return;
    this.#told.add(id);
    const seconds = Math.ceil((endMs - this.#nowMs()) / 1000);
    const isAsked = (this.#options.retryMs ?? 0) > 0;
    if (!isAsked && !isSuspect && lock && this.#isBrief(lock)) return;
    const why = isSuspect
      ? '; it seems left: watching whether it is renewed, "holdfast unlock" removes it at once'
      : '';
    (this.#options.monitor ?? silentMonitor).note(
      `${error.message}, waiting up to ${seconds} s${why}`,
    );
  }

  #seenMs(id: Id): number {
    return this.#firstSeenMs.get(id) ?? this.#nowMs();
  }

  #nowMs(): number {
    return this.#repository.environment.clock.monotonicMs();
  }
}
