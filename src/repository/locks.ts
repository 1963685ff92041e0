import { throwIfAborted } from '../base/abort.ts';
import { assert } from '../base/assert.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type Monitor, silentMonitor } from '../base/monitor.ts';
import type { CallOptions } from '../storage/backend.ts';
import type { Id } from './id.ts';
import type { LockKind, LockOwner } from './lock-codec.ts';
import { type HeldLock, type LockParts, RepositoryLock } from './lock-holder.ts';
import { isStaleLock, type ProcessProbe } from './lock-judge.ts';
import { loadLocks, lookForConflicts, type WantedLock } from './lock-list.ts';
import { LockWait } from './lock-wait.ts';
import type { Repository } from './repository.ts';
import { assertNotUpgraded } from './upgrade-told.ts';

export {
  decodeLock,
  encodeLock,
  type LockKind,
  type LockOwner,
  type LockRecord,
  noIdentity,
  type OwnLockRecord,
  type ProcessIdentity,
  type StoredLock,
} from './lock-codec.ts';
export type { HeldLock } from './lock-holder.ts';
export { isStaleLock, judgeLock, type LockVerdict, type ProcessProbe } from './lock-judge.ts';
export { type LockList, loadLocks } from './lock-list.ts';
export { loadRunningOperations, type RunningOperation } from './lock-operations.ts';

/** What lock is taken, for whom, and how patiently. */
export interface LockOptions extends CallOptions {
  readonly kind: LockKind;
  /** What it is for, as others see it: `backup`. */
  readonly operation: string;
  /** How long to try while another lock stands against it; default 0. */
  readonly retryMs?: number | undefined;
  readonly owner: LockOwner;
  readonly probe: ProcessProbe;
  /** Another lock of the same work, which suffers this one. */
  readonly beside?: HeldLock | undefined;
  /**
   * Return as soon as the lock file is written, and do the second look 200 ms later in the background: see
   * `HeldLock.settled`. Without effect when `retryMs` is given.
   */
  readonly settleLater?: boolean | undefined;
  /** The work changes more than locks; for what is said where nothing can be written. */
  readonly writes?: boolean | undefined;
  /**
   * The work reads, and neither adds nor removes anything: a lock file that cannot be read does not keep it, which the monitor
   * hears. For shared locks only.
   */
  readonly onlyReads?: boolean | undefined;
  /** Told while waiting, and of renewals and removals that fail. */
  readonly monitor?: Monitor | undefined;
}

/** Which locks are removed: by default only those whose holders are gone. */
export interface UnlockOptions extends CallOptions {
  /** Remove every lock, whoever holds it, and also those that cannot be read. */
  readonly all: boolean;
  readonly probe: ProcessProbe;
}

/**
 * Locks a repository: looks for other locks, writes an own, and looks again, after 200 ms unless the storage lists what
 * was written at once. The lock is renewed every five minutes until it is released, and holds changes of the repository back whenever it is not certain.
 *
 * Locks whose holders are gone for sure are removed at once; those that seem left are watched for some minutes, if they
 * stand in the way, and removed if nobody renews them. A commit is waited for. The monitor hears all of it.
 *
 * A process that holds a lock must survive SIGHUP: with it restic (0.19.1, `unlock`) asks whether the owner of a lock on
 * its machine is alive. A repository opened with `noLock` gives a lock without a file.
 * @throws REPOSITORY_LOCKED, LOCK_DAMAGED, CANCELLED; what `Backend.put` throws
 * @see docs/FORMAT.md#locks
 */
export async function acquireLock(repository: Repository, options: LockOptions): Promise<HeldLock> {
  if (repository.noLock) return lockWithoutFile();
  const { kind, probe, beside, onlyReads = false } = options;
  assert(!onlyReads || kind === 'shared', 'who only reads takes a shared lock');
  const instances = beside ? [beside.instance] : [];
  const passed = onlyReads ? new Set<Id>() : undefined;
  const which = { own: new Set<Id>(), beside: instances, passed };
  const wanted: WantedLock = { kind, probe, look: 'first', ...which };
  const wait = new LockWait(repository, { ...options, look: 'first' });
  for (;;) {
    throwIfAborted(options.signal);
    const found = await lookForConflicts(repository, wanted, options);
    if (!(await wait.isClear(found))) continue;
    const lock = await writeLock(repository, { ...options, passed });
    // The config was read before the lock was there, and an upgrade may have come in between.
    const { signal } = options;
    await assertNotUpgraded(repository, { signal, meanwhile: 'waited for it' }).catch(
      async (error: unknown) => {
        await lock.release();
        throw error;
      },
    );
    if (options.settleLater && !options.retryMs) return lock;
    try {
      await lock.settled;
      return lock;
    } catch (error) {
      await lock.release();
      await wait.afterCollision(error);
    }
  }
}

async function writeLock(
  repository: Repository,
  options: LockOptions & Pick<LockParts, 'passed'>,
): Promise<RepositoryLock> {
  const { kind, operation, owner, probe, beside, passed, monitor = silentMonitor } = options;
  const parts: LockParts = { repository, kind, operation, owner, probe, beside, passed, monitor };
  return await RepositoryLock.write(parts, options.signal).catch((error: unknown) => {
    const isRefused = isHoldfastError(error, 'READ_ONLY', 'PERMISSION_DENIED');
    throw isRefused ? cannotWrite(error, repository, options) : error;
  });
}

function cannotWrite(
  { code, row }: HoldfastError,
  { backend }: Repository,
  { writes = false }: LockOptions,
): HoldfastError {
  return new HoldfastError(code, {
    message: `the repository cannot be written: ${row.summary}`,
    details: { location: backend.location },
    hint: writes
      ? 'This command has to write to it.'
      : 'This command only reads: it works with --no-lock.',
  });
}

function lockWithoutFile(): HeldLock {
  return {
    instance: '',
    signal: new AbortController().signal,
    settled: Promise.resolve(),
    assertHeld: () => undefined,
    isYoung: () => false,
    confirm: () => Promise.resolve(),
    publish: (work) => work(),
    release: () => Promise.resolve(),
  };
}

/**
 * Removes the locks whose holders are gone, or all. Takes no lock itself, and passes over files it cannot read.
 * @returns number of removed lock files
 */
export async function removeStaleLocks(
  repository: Repository,
  options: UnlockOptions,
): Promise<number> {
  const { backend, environment } = repository;
  const { signal } = options;
  const names: string[] = [];
  if (options.all) {
    for await (const { name } of backend.list('lock', { signal })) names.push(name);
  } else {
    const nowMs = environment.clock.wallMs();
    const { locks } = await loadLocks(repository, { signal });
    names.push(
      ...locks.filter((lock) => isStaleLock(lock, options.probe, nowMs)).map(({ id }) => id),
    );
  }
  let removedCount = 0;
  for (const name of names) {
    try {
      await backend.remove({ type: 'lock', name }, { signal });
      removedCount++;
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    }
  }
  return removedCount;
}
