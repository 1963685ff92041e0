import { forEachConcurrent } from '../../base/concurrency.ts';
import { endsWork, HoldfastError } from '../../base/errors.ts';
import type { Repository } from '../../repository/repository.ts';
import { describeHandle, type FileLock, type RetentionPeriod } from '../../storage/backend.ts';
import type { EngineContext } from '../context.ts';
import {
  type FileLockState,
  loadFileLock,
  loadVersions,
  type LockingStore,
  lockingStore,
} from './file-locks.ts';

/** What became of the locks. */
export interface LockExtension {
  /** Files whose locks end later now. */
  readonly extendedCount: number;
  /** Files whose locks last long enough. */
  readonly leftCount: number;
  /** Files that could not be locked; each is told as a problem. */
  readonly failedCount: number;
}

/** What the locks are to last for. */
export interface ExtensionRequest {
  /** What snapshots need, as `loadImmutability` found it. */
  readonly files: readonly FileLockState[];
  /** When each snapshot was stored, and the packs that it needs. */
  readonly snapshots: readonly {
    readonly id: string;
    readonly storedMs: number;
    readonly packs: ReadonlySet<string>;
  }[];
}

const dayMs = 86_400_000;
/** Of the period: a lock never has less than this left, and one that is extended gets so much more, so as not to be extended every day. */
const share = 1 / 3;

/**
 * Extends the locks of all files that snapshots lean on: each is to last as long as is promised for the newest snapshot that
 * needs it, and never less than a third of the period from now. Locks are only made longer. What no snapshot needs
 * is left to its end.
 *
 * @throws UNSUPPORTED for a storage without locks, or if nothing is promised
 */
export async function extendLocks(
  repository: Repository,
  request: ExtensionRequest,
  context: EngineContext,
): Promise<LockExtension> {
  const store = lockingStore(repository.backend);
  const period = store.retention.promised;
  if (!period) {
    throw new HoldfastError('UNSUPPORTED', {
      message: 'no locks are promised for this repository',
      hint: 'Promise some with "holdfast immutability --lock 30d".',
    });
  }
  const { environment, monitor, signal } = context;
  const nowMs = environment.clock.wallMs();
  const files = [...request.files, ...(await loadIndexLocks(repository, store, signal))];
  const wantedMs = wantedEnds(request, { period, nowMs });
  const count = { extendedCount: 0, leftCount: 0, failedCount: 0 };
  await forEachConcurrent(files, repository.backend.connectionCount, async (file) => {
    const untilMs = wantedMs.get(file.handle.name) ?? wantedMs.get('') ?? nowMs;
    try {
      if (await extend(store, file, { untilMs, period, nowMs, signal })) count.extendedCount++;
      else count.leftCount++;
    } catch (error) {
      if (endsWork(error)) throw error;
      count.failedCount++;
      monitor.problem({ item: describeHandle(file.handle), during: 'check', error });
    }
  });
  return count;
}

/** Index files that are there; those that were removed nobody needs. */
async function loadIndexLocks(
  { backend }: Repository,
  store: LockingStore,
  signal: AbortSignal | undefined,
): Promise<FileLockState[]> {
  const states: FileLockState[] = [];
  const groups = await loadVersions(store, 'index', { signal });
  await forEachConcurrent([...groups], backend.connectionCount, async ([name, group]) => {
    if (group[0]?.kind === 'removal') return;
    states.push(await loadFileLock(store, { type: 'index', name }, { group, signal }));
  });
  return states;
}

/** Until when files are to be locked at least, by name; under the empty name those that every snapshot needs. */
function wantedEnds(
  { snapshots }: ExtensionRequest,
  { period, nowMs }: { readonly period: RetentionPeriod; readonly nowMs: number },
): ReadonlyMap<string, number> {
  const wanted = new Map<string, number>();
  const want = (name: string, untilMs: number): void => {
    wanted.set(name, Math.max(untilMs, wanted.get(name) ?? 0));
  };
  const leastMs = nowMs + period.days * dayMs * share;
  want('', leastMs);
  for (const { id, storedMs, packs } of snapshots) {
    const untilMs = Math.max(leastMs, storedMs + period.days * dayMs);
    for (const name of ['', id, ...packs]) want(name, untilMs);
  }
  return wanted;
}

interface ExtendOptions {
  readonly untilMs: number;
  readonly period: RetentionPeriod;
  readonly nowMs: number;
  readonly signal: AbortSignal | undefined;
}

/** @returns whether it had to be */
async function extend(
  { retention }: LockingStore,
  { handle, version, lock }: FileLockState,
  { untilMs, period, nowMs, signal }: ExtendOptions,
): Promise<boolean> {
  if (!version) {
    throw new HoldfastError('FILE_NOT_FOUND', { details: { file: describeHandle(handle) } });
  }
  const isStrong = lock?.mode === 'compliance' || lock?.mode === period.mode;
  if (isStrong && lock.untilMs >= untilMs) return false;
  // Nobody can make compliance weaker.
  const mode = lock?.mode === 'compliance' ? lock.mode : period.mode;
  const spareMs = nowMs + period.days * dayMs * (1 + share);
  const longest = Math.max(lock?.untilMs ?? 0, untilMs, spareMs);
  const wanted: FileLock = { mode, untilMs: Math.ceil(longest / 1000) * 1000 };
  await retention.save(version, wanted, { signal });
  const found = await retention.load(version, { signal });
  if (found && found.untilMs >= untilMs) return true;
  throw new HoldfastError('VERIFY_FAILED', {
    message: 'the storage reported a lock extended, but it is not',
    details: { file: describeHandle(handle) },
    hint: 'Look at Object Lock of the storage.',
  });
}
