import { forEachConcurrent } from '../base/concurrency.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Monitor } from '../base/monitor.ts';
import { compareTimestamps } from '../base/timestamp.ts';
import type { CallOptions } from '../storage/backend.ts';
import type { Id } from './id.ts';
import type { Repository } from './repository.ts';
import { findByPrefix } from './repository-find.ts';
import {
  decodeSnapshot,
  encodeSnapshot,
  type Snapshot,
  type StoredSnapshot,
} from './snapshot-codec.ts';
import { matches, type SnapshotFilter } from './snapshot-filter.ts';

export {
  decodeSnapshot,
  encodeSnapshot,
  type Snapshot,
  type SnapshotSummary,
  type StoredSnapshot,
} from './snapshot-codec.ts';
export { matches, type SnapshotFilter } from './snapshot-filter.ts';

export interface LoadSnapshotsOptions extends CallOptions {
  /** Told of snapshots that cannot be read, which are then left out. Without it they are thrown. */
  readonly monitor?: Monitor | undefined;
  /**
   * Reads many snapshots faster than one by one: those that it could read and verify, by id. The others, and what
   * is wrong with them, are left to the usual way.
   */
  readonly readMany?: ((ids: readonly Id[]) => Promise<ReadonlyMap<Id, Snapshot>>) | undefined;
}

export interface ResolveOptions extends LoadSnapshotsOptions, SnapshotFilter {}

/** What a text such as `latest:home/anna` names. */
export interface ResolvedSnapshot {
  readonly snapshot: StoredSnapshot;
  /** Folder inside the snapshot, without checking that there is one. */
  readonly subfolder?: string;
}

/**
 * Stores a snapshot. All that it refers to must be stored before.
 * @returns its id
 * @throws STORAGE_FULL, BACKEND_WRITE_FAILED and kin, CANCELLED: then it is not there, or not known to be
 */
export function saveSnapshot(
  repository: Repository,
  snapshot: Snapshot,
  options: CallOptions = {},
): Promise<Id> {
  return repository.saveUnpacked('snapshot', encodeSnapshot(snapshot), options);
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
 * Loads all snapshots, the oldest instant first. One that is removed meanwhile is left out.
 * @throws SNAPSHOT_DAMAGED, UNPACKED_DAMAGED of one that cannot be read, unless a monitor is there to hear it; what listing
 * and reading files throws
 */
export async function loadSnapshots(
  repository: Repository,
  options: LoadSnapshotsOptions = {},
): Promise<StoredSnapshot[]> {
  const snapshots: StoredSnapshot[] = [];
  const { backend } = repository;
  const ids: Id[] = [];
  for await (const { name } of backend.list('snapshot', { signal: options.signal })) ids.push(name);
  const known = await options.readMany?.(ids);
  for (const [id, snapshot] of known ?? []) snapshots.push({ ...snapshot, id });
  const others = known ? ids.filter((id) => !known.has(id)) : ids;
  await forEachConcurrent(others, backend.connectionCount, async (id) => {
    try {
      snapshots.push(await loadSnapshot(repository, id, { signal: options.signal }));
    } catch (error) {
      if (isHoldfastError(error, 'SNAPSHOT_NOT_FOUND')) return;
      const isDamaged = isHoldfastError(error, 'SNAPSHOT_DAMAGED', 'UNPACKED_DAMAGED');
      if (!isDamaged || !options.monitor) throw error;
      options.monitor.problem({ item: `snapshot ${id}`, during: 'scan', error });
    }
  });
  return snapshots.sort(
    (a, b) => compareTimestamps(a.time, b.time) || (a.id < b.id ? -1 : Number(a.id > b.id)),
  );
}

/**
 * Finds the one snapshot that a text names: `latest` (the greatest instant among those that the filter means) or the
 * beginning of an id (the filter does not apply), either with `:folder` behind it.
 * @throws SNAPSHOT_NOT_FOUND, ID_AMBIGUOUS; SNAPSHOT_DAMAGED, for `latest` only without a monitor
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

async function findLatest(
  repository: Repository,
  options: ResolveOptions,
): Promise<StoredSnapshot> {
  const snapshots = await loadSnapshots(repository, options);
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
