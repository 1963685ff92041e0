import { HoldfastError } from '../base/errors.ts';
import type { Clock } from '../base/clock.ts';
import { timestampFromNs, type Timestamp } from '../base/timestamp.ts';
import type { LockKind, LockRecord, ProcessIdentity, StoredLock } from './lock-codec.ts';
import { lockLeftMs, lockStaleMs } from './lock-times.ts';
import { formatTime, localZone } from './time-format.ts';

/** What this machine can tell of the processes behind locks. */
export interface ProcessProbe {
  readonly hostname: string;
  /** Of the process that asks. */
  readonly identity: ProcessIdentity;
  /** When a process that is visible here started, empty if unknown; undefined when no such process runs. */
  processStart(pid: number): string | undefined;
  /** Seconds since this machine started. */
  machineUpSeconds(): number;
}

/**
 * `dead`: its holder is gone for sure. `suspect`: so it seems, but a clock that is wrong, or another machine with this
 * one's name, looks the same; who waits whether it is renewed will know. `alive`: nothing speaks against it.
 */
export type LockVerdict = 'alive' | 'suspect' | 'dead';

/**
 * What can be said of a lock's holder by one look.
 *
 * The process is looked for only where the lock names the same start of a machine and the same space of process
 * numbers: names of hosts repeat, and a process in another container cannot be seen.
 */
export function judgeLock(lock: LockRecord, probe: ProcessProbe, nowMs: number): LockVerdict {
  if (isOfGoneProcess(lock, probe)) return 'dead';
  const ageMs = nowMs - timeMs(lock.time);
  if (isOfEarlierStart(lock, probe, nowMs)) return ageMs > lockLeftMs ? 'dead' : 'suspect';
  return ageMs > lockStaleMs || isOfUnseenProcess(lock, probe) ? 'suspect' : 'alive';
}

/** The same start of the machine, the same numbers, and no such process, or a later one with its number. */
function isOfGoneProcess({ own, pid }: LockRecord, probe: ProcessProbe): boolean {
  if (!own || !isOfSameSpace(own, probe.identity)) return false;
  const start = probe.processStart(pid);
  if (start === undefined) return true;
  return start !== '' && own.start !== '' && start !== own.start;
}

function isOfSameSpace(own: ProcessIdentity, self: ProcessIdentity): boolean {
  return own.boot !== '' && own.boot === self.boot && own.space !== '' && own.space === self.space;
}

/** Left by this machine when it was stopped, unless a copy of the machine has its name and id and runs elsewhere. */
function isOfEarlierStart(lock: LockRecord, probe: ProcessProbe, nowMs: number): boolean {
  const { own } = lock;
  const self = probe.identity;
  if (!own || own.machine === '' || own.machine !== self.machine) return false;
  if (own.boot === '' || self.boot === '' || own.boot === self.boot) return false;
  const startMs = nowMs - probe.machineUpSeconds() * 1000;
  return lock.hostname === probe.hostname && timeMs(lock.time) < startMs;
}

/** Of this host by its name, and no such process: but it may be in a container that has the host's name. */
function isOfUnseenProcess(lock: LockRecord, probe: ProcessProbe): boolean {
  const { own } = lock;
  if (own && own.boot !== '' && own.boot !== probe.identity.boot) return false;
  return lock.hostname === probe.hostname && probe.processStart(lock.pid) === undefined;
}

/**
 * True for a lock that `unlock` removes: not renewed for half an hour, or of a process of this host that is gone. That
 * is restic's rule, but a process of ours is not missed where it cannot be seen.
 */
export function isStaleLock(lock: LockRecord, probe: ProcessProbe, nowMs: number): boolean {
  if (nowMs - timeMs(lock.time) > lockStaleMs) return true;
  if (isOfGoneProcess(lock, probe) || isOfEarlierStart(lock, probe, nowMs)) return true;
  return !lock.own?.boot && isOfUnseenProcess(lock, probe);
}

/** The kind of a lock; those of other programs are shared or exclusive. */
export function kindOfLock(lock: LockRecord): LockKind {
  return lock.own?.kind ?? (lock.exclusive ? 'exclusive' : 'shared');
}

/** `process 17 of anna on alpha (backup)`. */
export function describeHolder({ pid, username, hostname, own }: LockRecord): string {
  const operation = own?.operation ? ` (${own.operation})` : '';
  return `process ${pid} of ${username} on ${hostname}${operation}`;
}

/** The error that says who holds the repository. */
export function lockedBy(lock: StoredLock, probe: ProcessProbe, clock: Clock): HoldfastError {
  const kind = lock.exclusive ? ' exclusively' : '';
  const isStale = isStaleLock(lock, probe, clock.wallMs());
  const now = timestampFromNs(clock.wallNs());
  return new HoldfastError('REPOSITORY_LOCKED', {
    message: `the repository is locked${kind} by ${describeHolder(lock)}`,
    details: {
      lockId: lock.id,
      since: formatTime(lock.time, localZone),
      ageSeconds: Math.max(0, now.seconds - lock.time.seconds),
    },
    ...(isStale && { hint: 'Its holder is gone: run "holdfast unlock", then try again.' }),
  });
}

/** Milliseconds since 1970. */
export function timeMs(time: Timestamp): number {
  return time.seconds * 1000 + Math.floor(time.nanoseconds / 1e6);
}
