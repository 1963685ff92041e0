import { forEachConcurrent } from '../base/concurrency.ts';
import type { Id } from '../repository/id.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { Repository } from '../repository/repository.ts';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import type { FileHandle, RetentionPeriod } from '../storage/backend.ts';
import type { EngineContext } from './context.ts';
import {
  type FileLockState,
  loadFileLock,
  loadVersions,
  type LockingStore,
  lockingStore,
} from './immutability/file-locks.ts';
import { collectNeededPacks, type NeededPacks } from './immutability/needed-files.ts';

export { type FileLockState, lockingStore } from './immutability/file-locks.ts';
export { attackLocks, type AttackOutcome, type Attempt } from './immutability/attack.ts';
export { extendLocks, type LockExtension } from './immutability/extend.ts';

/** Until when a snapshot is safe from everybody who may write to the storage. Times in milliseconds since 1970. */
export interface SnapshotLock {
  readonly snapshot: StoredSnapshot;
  /** When the storage took it. */
  readonly storedMs: number;
  /** Undefined if nothing is promised. */
  readonly promisedUntilMs: number | undefined;
  /** All that it needs is locked until then; undefined if something is not locked. */
  readonly lockedUntilMs: number | undefined;
  /** The file whose lock ends first, or that has none. */
  readonly weakest: FileHandle | undefined;
  /** The promise holds, or its time is over. */
  readonly isKept: boolean;
}

/** What is locked, against what was promised. */
export interface ImmutabilityReport {
  readonly promised: RetentionPeriod | undefined;
  /** What the storage does by itself. */
  readonly byDefault: RetentionPeriod | undefined;
  /** Oldest first. */
  readonly snapshots: readonly SnapshotLock[];
  /** Every file that some snapshot needs: packs, snapshots, the config and the key that was used. */
  readonly files: readonly FileLockState[];
  /** The packs of each snapshot that could be read. */
  readonly needed: readonly NeededPacks[];
}

const dayMs = 86_400_000;

/**
 * Asks the storage for the lock of every file that snapshots need. Two requests for each thousand versions, and one a file.
 * Index files do not count: they can be made again from the packs.
 *
 * @param snapshots oldest first
 * @throws UNSUPPORTED for a storage without locks; what the backend throws
 */
export async function loadImmutability(
  indexed: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  context: EngineContext,
): Promise<ImmutabilityReport> {
  const { repository } = indexed;
  const { signal } = context;
  const store = lockingStore(repository.backend);
  const needed = await collectNeededPacks(indexed, snapshots, context);
  const states = await loadStates(repository, { store, needed, signal });
  const { promised } = store.retention;
  const byDefault = await store.retention.loadDefault({ signal }).catch(() => undefined);
  const nowMs = context.environment.clock.wallMs();
  return {
    promised,
    byDefault,
    needed,
    files: [...states.values()],
    snapshots: needed.map((each) =>
      judge(each, { keyId: repository.keyId, states, promised, nowMs }),
    ),
  };
}

type States = ReadonlyMap<string, FileLockState>;

interface StateRequest {
  readonly store: LockingStore;
  readonly needed: readonly NeededPacks[];
  readonly signal: AbortSignal | undefined;
}

async function loadStates(
  repository: Repository,
  { store, needed, signal }: StateRequest,
): Promise<States> {
  const names = {
    config: [''],
    key: [repository.keyId],
    snapshot: needed.map(({ snapshot }) => snapshot.id),
    pack: [...new Set(needed.flatMap(({ packs }) => [...packs]))],
  };
  const states = new Map<string, FileLockState>();
  for (const type of ['config', 'key', 'snapshot', 'pack'] as const) {
    const groups = await loadVersions(store, type, { signal });
    await forEachConcurrent(names[type], repository.backend.connectionCount, async (name) => {
      const handle = { type, name };
      const group = groups.get(name) ?? [];
      states.set(keyOf(handle), await loadFileLock(store, handle, { group, signal }));
    });
  }
  return states;
}

function keyOf({ type, name }: FileHandle): string {
  return `${type}/${name}`;
}

interface Judgement {
  readonly keyId: Id;
  readonly states: States;
  readonly promised: RetentionPeriod | undefined;
  readonly nowMs: number;
}

function judge({ snapshot, packs }: NeededPacks, how: Judgement): SnapshotLock {
  const { keyId, states, promised, nowMs } = how;
  const handles: FileHandle[] = [
    { type: 'snapshot', name: snapshot.id },
    { type: 'config', name: '' },
    { type: 'key', name: keyId },
    ...Array.from(packs, (name) => ({ type: 'pack' as const, name })),
  ];
  let weakest: { readonly handle: FileHandle; readonly untilMs: number } | undefined;
  for (const handle of handles) {
    const untilMs = endOf(states.get(keyOf(handle)), promised);
    if (!weakest || untilMs < weakest.untilMs) weakest = { handle, untilMs };
  }
  const stored = states.get(`snapshot/${snapshot.id}`)?.version?.storedMs;
  const storedMs = stored ?? snapshot.time.seconds * 1000;
  const promisedUntilMs = promised && storedMs + promised.days * dayMs;
  const untilMs = weakest?.untilMs ?? 0;
  return {
    snapshot,
    storedMs,
    promisedUntilMs,
    lockedUntilMs: untilMs > 0 ? untilMs : undefined,
    weakest: weakest?.handle,
    isKept: promisedUntilMs === undefined || promisedUntilMs <= Math.max(nowMs, untilMs),
  };
}

/** 0 for a file that is not locked, or more weakly than promised. */
function endOf(state: FileLockState | undefined, promised: RetentionPeriod | undefined): number {
  const lock = state?.lock;
  if (!lock) return 0;
  return promised?.mode === 'compliance' && lock.mode !== 'compliance' ? 0 : lock.untilMs;
}

/**
 * Promises locks for a repository, or others than before: from now on new files get them, whoever writes, and the storage
 * remembers it beside the config. `extendLocks` gives them to what is there.
 *
 * @throws UNSUPPORTED for a storage that cannot, saying what to turn on
 */
export async function promiseLocks(
  repository: Repository,
  period: RetentionPeriod,
  { signal }: EngineContext,
): Promise<void> {
  const { backend } = repository;
  const { retention } = lockingStore(backend);
  await retention.prepare({ signal });
  retention.promise(period);
  const handle = { type: 'config', name: '' } as const;
  const sealed = await backend.get(handle, undefined, { signal });
  // Reading took in what was promised before.
  retention.promise(period);
  await backend.put(handle, [sealed], { replace: true, signal });
}
