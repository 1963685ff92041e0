import { removeSurely } from './unpacked.ts';
import { readSnapshotsInThread } from './snapshot-threads.ts';
import { forEachConcurrent } from '../base/concurrency.ts';
import { endsWork, HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Monitor } from '../base/monitor.ts';
import { compareTimestamps } from '../base/timestamp.ts';
import type { CallOptions } from '../storage/backend.ts';
import type { Id } from './id.ts';
import type { Repository } from './repository.ts';
import { findByPrefix } from './repository-find.ts';
import { decodeSnapshot, type StoredSnapshot } from './snapshot-codec.ts';
import { matches, type SnapshotFilter } from './snapshot-filter.ts';

export {
  decodeSnapshot,
  encodeSnapshot,
  type Snapshot,
  type SnapshotSummary,
  type StoredSnapshot,
} from './snapshot-codec.ts';
export { matches, type SnapshotFilter } from './snapshot-filter.ts';

/** Which snapshots are loaded, and what becomes of unreadable ones. */
export interface LoadSnapshotsOptions extends CallOptions {
  /** Snapshots that are left out unread. */
  readonly known?: { has(id: Id): boolean } | undefined;
  /** Told of every snapshot that cannot be read, which is then left out. Without it the first of them is thrown. */
  readonly onUnreadable?: ((id: Id, error: unknown) => void) | undefined;
}

/** An `onUnreadable` that tells each as a problem. */
export function tellUnreadable(monitor: Monitor): (id: Id, error: unknown) => void {
  return (id, error) => monitor.problem({ item: `snapshot ${id}`, during: 'scan', error });
}

/** Which snapshots `latest` may name; those that are named by id need not match. */
export interface ResolveOptions extends CallOptions, SnapshotFilter {}

/** What a text such as `latest:home/anna` names. */
export interface ResolvedSnapshot {
  readonly snapshot: StoredSnapshot;
  /** Folder inside the snapshot, without checking that there is one. */
  readonly subfolder?: string;
}

/** How sure the removal of a snapshot is to be. */
export interface RemoveSnapshotOptions extends CallOptions {
  /** Ask the storage afterwards whether it is gone: some keep what they report removed. */
  readonly isConfirmed?: boolean;
}

/**
 * Removes a snapshot; the data it refers to stays. One that is gone already counts as removed.
 * @throws BACKEND_WRITE_FAILED if it is still there; what `Backend.remove` and `Backend.stat` throw
 */
export async function removeSnapshot(
  { backend }: Repository,
  id: Id,
  { signal, isConfirmed = false }: RemoveSnapshotOptions = {},
): Promise<void> {
  const handle = { type: 'snapshot', name: id } as const;
  try {
    if (isConfirmed) await removeSurely(backend, handle, { signal });
    else await backend.remove(handle, { signal });
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
  }
}

/**
 * Removes snapshots in one go, where the storage can.
 * @returns those that are gone; of the others nothing is known, and `removeSnapshot` tells why
 * @throws what ends the use of the storage: some may be removed then
 */
export async function removeSnapshotsAtOnce(
  { backend }: Repository,
  ids: readonly Id[],
  options: CallOptions = {},
): Promise<readonly Id[]> {
  return (await backend.removeSeveral?.('snapshot', ids, options)) ?? [];
}

/** @throws SNAPSHOT_NOT_FOUND, SNAPSHOT_DAMAGED, UNPACKED_DAMAGED */
export async function loadSnapshot(
  repository: Repository,
  id: Id,
  options: CallOptions = {},
): Promise<StoredSnapshot> {
  try {
    const json = await repository.loadUnpacked('snapshot', id, options);
    return { ...decodeSnapshot(json), id };
  } catch (error) {
    if (isHoldfastError(error, 'SNAPSHOT_DAMAGED')) {
      throw new HoldfastError('SNAPSHOT_DAMAGED', { details: { id }, cause: error.cause });
    }
    if (isHoldfastError(error, 'FILE_NOT_FOUND')) throw notFound(id, error);
    throw error;
  }
}

/**
 * Loads all snapshots, the oldest instant first; many of a repository on this machine in a thread. One that is removed
 * meanwhile is left out: it is gone from a second listing as well.
 * @throws SNAPSHOT_DAMAGED, UNPACKED_DAMAGED and what else one of them cannot be read for, unless `onUnreadable` hears of it;
 *   what ends the use of the storage
 */
export async function loadSnapshots(
  repository: Repository,
  options: LoadSnapshotsOptions = {},
): Promise<StoredSnapshot[]> {
  const { backend } = repository;
  const { signal, onUnreadable } = options;
  const ids = await listSnapshots(repository, options);
  const read = await readSnapshotsInThread(repository, [...ids], { signal });
  const snapshots: StoredSnapshot[] = [];
  for (const [id, snapshot] of read) snapshots.push({ ...snapshot, id });
  const failures = new Map<Id, unknown>();
  const others = [...ids].filter((id) => !read.has(id));
  await forEachConcurrent(others, backend.connectionCount, async (id) => {
    try {
      snapshots.push(await loadSnapshot(repository, id, { signal }));
    } catch (error) {
      const isUnheard = !onUnreadable && !isHoldfastError(error, 'SNAPSHOT_NOT_FOUND');
      if (endsWork(error) || isUnheard) throw error;
      failures.set(id, error);
    }
  });
  for (const [id, error] of await stillListed(repository, failures, options)) {
    if (!onUnreadable) throw error;
    onUnreadable(id, error);
  }
  return snapshots.sort(
    (a, b) => compareTimestamps(a.time, b.time) || (a.id < b.id ? -1 : Number(a.id > b.id)),
  );
}

/** Those that are not known, in the order of the listing. A listing may have one of them twice. */
async function listSnapshots(
  { backend }: Repository,
  { signal, known }: LoadSnapshotsOptions,
): Promise<Set<Id>> {
  const ids = new Set<Id>();
  for await (const { name } of backend.list('snapshot', { signal })) {
    if (!known?.has(name)) ids.add(name);
  }
  return ids;
}

/** The failures, by id, of all but the snapshots that are gone from the listing by now. */
async function stillListed(
  repository: Repository,
  failures: ReadonlyMap<Id, unknown>,
  options: LoadSnapshotsOptions,
): Promise<[Id, unknown][]> {
  const all = [...failures].toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (!all.some(isGone)) return all;
  const listed = await listSnapshots(repository, options);
  return all.filter((failure) => !isGone(failure) || listed.has(failure[0]));
}

function isGone([, error]: [Id, unknown]): boolean {
  return isHoldfastError(error, 'SNAPSHOT_NOT_FOUND');
}

/**
 * Finds the one snapshot that a text names: `latest` (the greatest instant among those that the filter means) or the
 * beginning of an id (the filter does not apply), either with `:folder` behind it.
 * @throws SNAPSHOT_NOT_FOUND, ID_AMBIGUOUS; SNAPSHOT_DAMAGED, for `latest` if any snapshot cannot be read
 */
export async function resolveSnapshot(
  repository: Repository,
  text: string,
  options: ResolveOptions = {},
): Promise<ResolvedSnapshot> {
  const colon = text.indexOf(':');
  const name = colon < 0 ? text : text.slice(0, colon);
  const snapshot =
    name === 'latest'
      ? await findLatest(repository, options)
      : await findById(repository, name, options);
  return colon < 0 ? { snapshot } : { snapshot, subfolder: text.slice(colon + 1) };
}

/**
 * All snapshots, for who wants the newest: one that cannot be read may be just that, and an older one must not pass for
 * it, since it may be restored over newer files.
 */
async function loadAllSnapshots(
  repository: Repository,
  options: ResolveOptions,
): Promise<StoredSnapshot[]> {
  try {
    return await loadSnapshots(repository, { signal: options.signal });
  } catch (error) {
    if (endsWork(error)) throw error;
    throw new HoldfastError('SNAPSHOT_DAMAGED', {
      message: 'which snapshot is the latest cannot be told: one of them cannot be read',
      details: isHoldfastError(error) ? error.details : {},
      hint: 'Name the snapshot by its id: "holdfast snapshots" lists those that can be read.',
      cause: error,
    });
  }
}

async function findLatest(
  repository: Repository,
  options: ResolveOptions,
): Promise<StoredSnapshot> {
  const snapshots = await loadAllSnapshots(repository, options);
  const latest = snapshots.findLast((snapshot) => matches(snapshot, options));
  if (latest) return latest;
  throw new HoldfastError('SNAPSHOT_NOT_FOUND', {
    message:
      snapshots.length === 0
        ? 'there is no snapshot in the repository'
        : 'no snapshot fits the filter for host, tags and paths',
  });
}

async function findById(
  repository: Repository,
  prefix: string,
  options: ResolveOptions,
): Promise<StoredSnapshot> {
  const { signal } = options;
  const id = await findByPrefix(repository.backend, { type: 'snapshot', prefix }, { signal });
  if (id === undefined) throw notFound(prefix);
  return loadSnapshot(repository, id, { signal });
}

function notFound(id: string, cause?: unknown): HoldfastError {
  return new HoldfastError('SNAPSHOT_NOT_FOUND', { details: { id }, cause });
}
