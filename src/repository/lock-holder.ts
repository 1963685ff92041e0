import { cancelled, throwIfAborted } from '../base/abort.ts';
import { assert } from '../base/assert.ts';
import type { Timer } from '../base/clock.ts';
import { toHex } from '../base/bytes.ts';
import { describeError, HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Monitor } from '../base/monitor.ts';
import { timestampFromNs } from '../base/timestamp.ts';
import { shortId, type Id } from './id.ts';
import { randomBytes } from '../base/random.ts';
import {
  encodeLock,
  isExclusiveKind,
  type LockKind,
  type LockOwner,
  type OwnLockRecord,
} from './lock-codec.ts';
import { withDeadline } from './lock-deadline.ts';
import { lockedBy, type ProcessProbe } from './lock-judge.ts';
import { type LockList, lookForConflicts } from './lock-list.ts';
import {
  lockExpiryMs,
  lockRefreshMs,
  lockSettleMs,
  lockStaleMs,
  lockYoungMs,
} from './lock-times.ts';
import { LockWait } from './lock-wait.ts';
import type { CallOptions } from '../storage/backend.ts';
import type { Repository } from './repository.ts';
import { putContent } from './unpacked.ts';

/** How often the age is looked at. */
const lockTickMs = 60_000;
/** Longest time for one renewal. */
const lockRenewMsMax = 2 * 60_000;
/** Longest time for trying to renew an expired lock. */
const lockRecoveryMsMax = 15 * 60_000;
/** Pause between such tries. */
const lockRecoveryPauseMs = 5_000;
/** Longest time for waiting until those are done who may have taken the holder for gone. */
const lockReturnMsMax = 24 * 60 * 60_000;
/** Longest time for removing the lock at the end. */
const lockReleaseMsMax = 60_000;
/** Longest time for asking at the end whether a lock that could not be removed is there at all. */
const lockAskMsMax = 2_000;

/** A lock as its user sees it. */
export interface HeldLock {
  /** The same in all files of this lock; empty without files. */
  readonly instance: string;
  /** Aborts with LOCK_LOST, or with REPOSITORY_LOCKED when the second look finds another lock. */
  readonly signal: AbortSignal;
  /**
   * Resolves after the second look; rejects with REPOSITORY_LOCKED. Changes of the repository wait for it by
   * themselves; reading need not.
   */
  readonly settled: Promise<void>;
  /** Throws LOCK_LOST unless the lock is held for sure at this moment, or is still settling. */
  assertHeld(): void;
  /**
   * True while all that was done under the lock was done within the last minute, by both clocks: it is the first file of
   * this lock, and is held. False without files.
   */
  isYoung(): boolean;
  /**
   * Makes sure that the lock is held by asking the storage for it; one call. Waits while it settles, is renewed late or
   * taken anew. For what must not be done without it, such as the writing of a snapshot.
   * @throws LOCK_LOST, REPOSITORY_LOCKED, CANCELLED; what a check of `Repository.absences` throws
   */
  confirm(options?: CallOptions): Promise<void>;
  /**
   * Tells others by the lock that a snapshot is proven and stored now, waits for a commit that is going on, and does it: so no
   * commit comes between the proof and the snapshot. Of all kinds but `shared`, which no commit suffers, only does it.
   */
  publish<T>(work: () => Promise<T>, options?: PublishOptions): Promise<T>;
  /**
   * Removes the lock file, within a minute. Never rejects: a lock that could not be removed is told to the monitor
   * and stays until `unlock`. Idempotent.
   */
  release(): Promise<void>;
}

/** How work is done that others may not interrupt. */
export interface PublishOptions extends CallOptions {
  /** The lock is released next: others need not be told that this is over. */
  readonly isLast?: boolean | undefined;
}

/** What a lock of this process is made of. */
export interface LockParts {
  readonly repository: Repository;
  readonly kind: LockKind;
  readonly operation: string;
  readonly owner: LockOwner;
  /** Another lock of the same work, which suffers this one. */
  readonly beside: HeldLock | undefined;
  readonly probe: ProcessProbe;
  /** As `WantedLock.passed`. */
  readonly passed: Set<Id> | undefined;
  readonly monitor: Monitor;
}

type LockState = 'settling' | 'held' | 'away' | 'lost' | 'released';

/**
 * A lock and its life: written, looked after a second time, renewed while it is held, removed.
 *
 * A renewal writes the new file before it looks whether the old one is still there: so one of the two exists at every
 * instant, and as long as that is so nobody can have taken an exclusive lock. If the old one is gone, somebody removed
 * it: by force, or because the holder slept and seemed gone.
 *
 * An exclusive lock is lost then: others may have changed what the holder knows. A shared one is taken anew, and so is
 * one that was not renewed in time: changes are held back until it is there again, none who might have taken the holder
 * for gone is at work, and all checks of `Repository.absences` agree.
 * @see docs/CONCURRENCY.md#who-slept
 */
export class RepositoryLock implements HeldLock {
  readonly #parts: LockParts;
  readonly #lost = new AbortController();
  /** Ends own calls and waits. */
  readonly #stop = new AbortController();
  /** Every file of this lock that may exist. */
  readonly #files = new Set<Id>();
  readonly #own: OwnLockRecord;
  readonly #removeGuard: () => void;
  readonly #timer: Timer;
  #settled: Promise<void> = Promise.resolve();
  #state: LockState = 'settling';
  /** As others see it: `publish` for a time. */
  #kind: LockKind;
  /** The file that stands for the lock. */
  #current: Id = '';
  /** The file that stood for it first. */
  #first: Id | undefined;
  #renewedWallMs = 0;
  #renewedMonotonicMs = 0;
  #renewal: Promise<void> | undefined;
  #recovery: Promise<void> | undefined;
  #release: Promise<void> | undefined;

  private constructor(parts: LockParts) {
    const { environment } = parts.repository;
    this.#parts = parts;
    this.#kind = parts.kind;
    this.#own = {
      ...parts.probe.identity,
      instance: toHex(randomBytes(environment.random, 16)),
      kind: parts.kind,
      operation: parts.operation,
      began: timestampFromNs(environment.clock.wallNs()),
    };
    this.#removeGuard = parts.repository.addWriteGuard((surely) =>
      surely ? this.confirm() : this.#guard(),
    );
    this.#timer = environment.clock.every(lockTickMs, () => this.#tick());
  }

  /**
   * Writes the lock file and begins to settle. The first look was the caller's.
   * @throws what `Backend.put` throws
   */
  static async write(parts: LockParts, signal: AbortSignal | undefined): Promise<RepositoryLock> {
    const lock = new RepositoryLock(parts);
    try {
      await lock.#write(signal);
    } catch (error) {
      await lock.release();
      throw error;
    }
    lock.#settled = lock.#settle(signal);
    lock.#settled.catch(() => undefined);
    return lock;
  }

  get instance(): string {
    return this.#own.instance;
  }

  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  get settled(): Promise<void> {
    return this.#settled;
  }

  assertHeld(): void {
    assert(this.#state !== 'released', 'the lock was not released yet');
    if (this.#state === 'lost') throw this.#lost.signal.reason;
    if (this.#state === 'away' || this.#ageMs() >= lockExpiryMs) throw expired(this.#ageMs());
  }

  isYoung(): boolean {
    const isFirst = this.#current === this.#first && this.#kind === this.#parts.kind;
    return this.#state === 'held' && isFirst && this.#ageMs() < lockYoungMs;
  }

  async confirm({ signal }: CallOptions = {}): Promise<void> {
    assert(this.#state !== 'released', 'the lock was not released yet');
    await this.#settled;
    for (;;) {
      await this.#guard();
      const id = this.#current;
      if (await this.#isStored(id, signal)) return;
      // It may just have been renewed.
      if (id === this.#current && this.#state === 'held') await this.#vanish(id);
    }
  }

  async publish<T>(
    work: () => Promise<T>,
    { signal, isLast = false }: PublishOptions = {},
  ): Promise<T> {
    await this.#settled;
    if (this.#parts.kind !== 'shared') return work();
    await this.#show('publish');
    try {
      await this.#waitForCommit(signal);
      return await work();
    } finally {
      if (isLast) this.#kind = 'shared';
      // What was stored is stored, and the next renewal tells it as well.
      else await this.#show('shared').catch((error: unknown) => this.#note(error));
    }
  }

  release(): Promise<void> {
    this.#release ??= this.#end();
    return this.#release;
  }

  async #end(): Promise<void> {
    const { repository, monitor } = this.#parts;
    this.#state = 'released';
    this.#timer.stop();
    this.#removeGuard();
    this.#stop.abort();
    await Promise.allSettled([this.#settled, this.#renewal, this.#recovery]);
    const { clock } = repository.environment;
    try {
      await withDeadline({ clock, ms: lockReleaseMsMax }, (signal) => this.#removeFiles(signal));
    } catch (error) {
      // Where nothing can be written, none was ever there.
      const isRefused = isHoldfastError(error, 'READ_ONLY', 'PERMISSION_DENIED');
      const left = isRefused ? await this.#filesLeft() : [...this.#files];
      if (left.length === 0) return;
      const ids = left.map(shortId).join(', ');
      monitor.note(
        `the lock ${ids} could not be removed, run "holdfast unlock": ${describeError(error)}`,
      );
    }
  }

  /** Files that are there, or may be. */
  async #filesLeft(): Promise<Id[]> {
    const { clock } = this.#parts.repository.environment;
    const left: Id[] = [];
    for (const id of this.#files) {
      const asked = withDeadline({ clock, ms: lockAskMsMax }, (signal) =>
        this.#isStored(id, signal),
      );
      if (await asked.catch(() => true)) left.push(id);
    }
    return left;
  }

  async #settle(signal: AbortSignal | undefined): Promise<void> {
    const { repository, kind, probe, beside, passed } = this.#parts;
    const either = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal;
    try {
      await this.#waitToSettle(either);
      const which = { own: this.#files, beside: beside ? [beside.instance] : [], passed };
      const wanted = { kind, probe, look: 'second', ...which } as const;
      const look = { signal: either, monitor: this.#parts.monitor };
      const { locks, unreadable } = await lookForConflicts(repository, wanted, look);
      if (locks[0]) throw lockedBy(locks[0], probe, repository.environment.clock);
      if (unreadable[0]) throw unreadable[0].error;
      if (this.#state === 'settling') this.#state = 'held';
    } catch (error) {
      await this.#lose(error);
      throw error;
    }
  }

  /**
   * Until a listing shows what others wrote before us. Each writes his lock before he looks, so where listings are never behind
   * one of two sees the other without a wait.
   */
  async #waitToSettle(signal: AbortSignal): Promise<void> {
    const { backend, environment } = this.#parts.repository;
    if (!backend.listsAtOnce) await environment.clock.sleep(lockSettleMs, signal);
  }

  /** Has the lock say something else, at once. */
  async #show(kind: LockKind): Promise<void> {
    await this.#renewal?.catch(() => undefined);
    this.#kind = kind;
    await this.#guard();
    try {
      await this.#renew();
    } catch (error) {
      // Found removed: whoever takes it anew says it, too.
      if (this.#state !== 'away') throw error;
      await this.#guard();
    }
  }

  /** A commit that began to look before our lock said `publish` has its own lock there by now. */
  async #waitForCommit(signal: AbortSignal | undefined): Promise<void> {
    const { repository, probe, monitor, beside } = this.#parts;
    const either = signal ? AbortSignal.any([signal, this.#stop.signal]) : this.#stop.signal;
    const how = { kind: 'publish', look: 'second', probe, monitor, signal: either } as const;
    const wanted = { ...how, own: this.#files, beside: beside ? [beside.instance] : [] };
    const wait = new LockWait(repository, { ...how, retryMs: lockReturnMsMax });
    while (!(await wait.isClear(await lookForConflicts(repository, wanted, how)))) {
      throwIfAborted(either);
    }
  }

  /** Undefined while the lock is certain; else the wait until it is, or is lost. */
  #guard(): Promise<void> | undefined {
    // Who slept meanwhile is not sure of his lock, though the second look found no other.
    if (this.#state === 'settling') return this.#settled.then(() => this.#guard());
    if (this.#state === 'lost') return Promise.reject(this.#lost.signal.reason);
    if (this.#state === 'away') return this.#recover();
    return this.#ageMs() < lockExpiryMs ? undefined : this.#recover();
  }

  #tick(): void {
    if (this.#state !== 'held') return;
    const ageMs = this.#ageMs();
    if (ageMs >= lockExpiryMs) this.#recover().catch(() => undefined);
    else if (ageMs >= lockRefreshMs) this.#renew().catch((error: unknown) => this.#note(error));
  }

  /** By both clocks: the monotonic one may stand still while the machine sleeps, the other may be set back. */
  #ageMs(): number {
    const { clock } = this.#parts.repository.environment;
    const wall = clock.wallMs() - this.#renewedWallMs;
    return Math.max(wall, clock.monotonicMs() - this.#renewedMonotonicMs);
  }

  /** Renews an expired lock, again and again for a while; changes of the repository wait meanwhile. */
  #recover(): Promise<void> {
    const recovery =
      this.#parts.kind === 'shared' ? () => this.#return() : () => this.#tryRecovery();
    this.#recovery ??= recovery().finally(() => {
      this.#recovery = undefined;
    });
    return this.#recovery;
  }

  /**
   * That the file is still there says nothing once others may have taken it for left: its removal is not durable, and a
   * storage that lost its power may have it again.
   */
  async #tryRecovery(): Promise<void> {
    const { clock } = this.#parts.repository.environment;
    const startMs = clock.monotonicMs();
    for (;;) {
      if (this.#ageMs() >= lockStaleMs) {
        await this.#lose(expired(this.#ageMs()));
        throw this.#lost.signal.reason;
      }
      try {
        await this.#renew();
        if (this.#ageMs() < lockExpiryMs) return;
      } catch (error) {
        if (this.#state !== 'held') throw error;
        this.#note(error);
        if (clock.monotonicMs() - startMs >= lockRecoveryMsMax) {
          await this.#lose(expired(this.#ageMs(), error));
          throw this.#lost.signal.reason;
        }
      }
      await clock.sleep(lockRecoveryPauseMs, this.#stop.signal);
    }
  }

  #renew(): Promise<void> {
    const { clock } = this.#parts.repository.environment;
    const deadline = { clock, ms: lockRenewMsMax, signal: this.#stop.signal };
    this.#renewal ??= withDeadline(deadline, (signal) => this.#replace(signal)).finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #replace(signal: AbortSignal): Promise<void> {
    const isExpired = this.#ageMs() >= lockExpiryMs;
    const old = this.#current;
    if (isExpired) await this.#assertStored(old, signal);
    const times = this.#times();
    const id = await this.#put(signal);
    if (signal.aborted) {
      // Stored after its time: a later renewal may have taken it for absent already.
      this.#files.add(id);
      throw cancelled(signal);
    }
    if (isExpired) await this.#waitToSettle(signal);
    await this.#assertStored(old, signal);
    this.#accept(id, times);
    // The lock is renewed already; what cannot be removed now is with the next renewal or at the end.
    await this.#removeFiles(signal, id).catch((error: unknown) => this.#note(error));
  }

  /** Takes a shared lock anew, and holds it again once nobody is at work who may have taken its holder for gone. */
  async #return(): Promise<void> {
    const { repository, probe, monitor } = this.#parts;
    const { clock } = repository.environment;
    this.#state = 'away';
    const { signal } = this.#stop;
    const how = { kind: 'shared', look: 'return', probe, monitor, signal } as const;
    const wait = new LockWait(repository, { ...how, retryMs: lockReturnMsMax });
    for (let startMs = clock.monotonicMs(); ; ) {
      try {
        const found = await this.#showAgain();
        startMs = clock.monotonicMs();
        if ((await wait.isClear(found)) && (await this.#comeBack())) return;
      } catch (error) {
        // What a check says, and the end of the work, is not for another try.
        if (this.#state !== 'away') throw error;
        const isRefused = isHoldfastError(error, 'REPOSITORY_LOCKED', 'LOCK_DAMAGED');
        if (isRefused || clock.monotonicMs() - startMs >= lockRecoveryMsMax) {
          await this.#lose(isRefused ? error : expired(this.#ageMs(), error));
          throw this.#lost.signal.reason;
        }
        this.#note(error);
        await clock.sleep(lockRecoveryPauseMs, signal);
      }
    }
  }

  /** Makes sure that a young file is there, and looks for what stands against it. */
  #showAgain(): Promise<LockList> {
    const { repository, probe, beside, passed, monitor } = this.#parts;
    const { clock } = repository.environment;
    const which = { own: this.#files, beside: beside ? [beside.instance] : [], passed };
    const wanted = { kind: 'shared', probe, look: 'return', ...which } as const;
    const deadline = { clock, ms: lockRenewMsMax, signal: this.#stop.signal };
    return withDeadline(deadline, async (signal) => {
      const isYoung = this.#ageMs() < lockRefreshMs;
      if (!isYoung || !(await this.#isStored(this.#current, signal))) await this.#write(signal);
      await this.#waitToSettle(signal);
      return lookForConflicts(repository, wanted, { signal, monitor });
    });
  }

  /** @returns false if the machine slept again meanwhile */
  async #comeBack(): Promise<boolean> {
    const { repository } = this.#parts;
    let failure: { readonly error: unknown } | undefined;
    try {
      await repository.absences.check(this.#stop.signal);
    } catch (error) {
      failure = { error };
    }
    if (this.#ageMs() >= lockExpiryMs) return false;
    if (this.#state === 'away') this.#state = 'held';
    const current = this.#current;
    const { clock } = repository.environment;
    await withDeadline({ clock, ms: lockRenewMsMax, signal: this.#stop.signal }, (signal) =>
      this.#removeFiles(signal, current),
    ).catch((error: unknown) => this.#note(error));
    if (failure) throw failure.error;
    return true;
  }

  async #assertStored(id: Id, signal: AbortSignal): Promise<void> {
    if (await this.#isStored(id, signal)) return;
    await this.#vanish(id);
    throw removed(id);
  }

  async #isStored(id: Id, signal: AbortSignal | undefined): Promise<boolean> {
    try {
      await this.#parts.repository.backend.stat({ type: 'lock', name: id }, { signal });
      return true;
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND') || signal?.aborted) throw error;
      return false;
    }
  }

  /** Somebody removed the file that stood for the lock. */
  async #vanish(id: Id): Promise<void> {
    if (this.#parts.kind !== 'shared') return await this.#lose(removed(id));
    if (this.#state !== 'held') return;
    this.#parts.monitor.note('the lock was removed by somebody else while working: taking it anew');
    this.#recover().catch(() => undefined);
  }

  async #write(signal: AbortSignal | undefined): Promise<void> {
    const times = this.#times();
    this.#accept(await this.#put(signal), times);
  }

  #times(): { readonly wallMs: number; readonly monotonicMs: number } {
    const { clock } = this.#parts.repository.environment;
    return { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() };
  }

  #accept(id: Id, times: { readonly wallMs: number; readonly monotonicMs: number }): void {
    this.#current = id;
    this.#first ??= id;
    this.#renewedWallMs = times.wallMs;
    this.#renewedMonotonicMs = times.monotonicMs;
  }

  async #put(signal: AbortSignal | undefined): Promise<Id> {
    const { repository, owner } = this.#parts;
    const kind = this.#kind;
    const time = timestampFromNs(repository.environment.clock.wallNs());
    const record = {
      ...owner,
      time,
      exclusive: isExclusiveKind(kind),
      own: { ...this.#own, kind },
    };
    const { id, sealed } = repository.sealUnpacked('lock', encodeLock(record));
    // Before the put: it may fail and yet have stored the file.
    this.#files.add(id);
    await putContent(repository.backend, { type: 'lock', name: id }, sealed, { signal });
    return id;
  }

  async #removeFiles(signal: AbortSignal, except?: Id): Promise<void> {
    for (const id of this.#files) {
      if (id === except) continue;
      try {
        await this.#parts.repository.removeUnpacked('lock', id, { signal });
      } catch (error) {
        if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
      }
      this.#files.delete(id);
    }
  }

  async #lose(error: unknown): Promise<void> {
    if (this.#state === 'lost' || this.#state === 'released') return;
    this.#state = 'lost';
    this.#timer.stop();
    this.#lost.abort(error);
    const { clock } = this.#parts.repository.environment;
    await withDeadline({ clock, ms: lockReleaseMsMax }, (signal) =>
      this.#removeFiles(signal),
    ).catch((cause: unknown) => this.#note(cause));
  }

  #note(error: unknown): void {
    const isOver = this.#state !== 'held' && this.#state !== 'away';
    if (isOver || isHoldfastError(error, 'LOCK_LOST')) return;
    this.#parts.monitor.note(`the lock could not be renewed: ${describeError(error)}`);
  }
}

function removed(lockId: Id): HoldfastError {
  return new HoldfastError('LOCK_LOST', {
    message: 'the lock was removed by somebody else while working',
    details: { lockId },
  });
}

function expired(ageMs: number, cause?: unknown): HoldfastError {
  return new HoldfastError('LOCK_LOST', {
    message: 'the lock could not be renewed in time',
    details: { ageSeconds: Math.round(ageMs / 1000) },
    cause,
  });
}
