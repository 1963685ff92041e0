import { compareTimestamps, type Timestamp } from '../../base/timestamp.ts';
import type { Repository } from '../../repository/repository.ts';
import { resolveSnapshot, type StoredSnapshot } from '../../repository/snapshots.ts';
import type { BackupOptions } from './options.ts';

/**
 * Picks the snapshot that unchanged files are recognised by.
 *
 * Order: none with `force`; the one asked for; else the newest not later than `time` that has the
 * same host, all of the paths, all of the tags, as far as `groupBy` asks for them.
 * @param earlier loaded before the index, so that the index has all that they refer to
 * @throws SNAPSHOT_NOT_FOUND, ID_AMBIGUOUS if one was asked for
 * @see docs/FORMAT.md#backup
 */
export async function selectParent(
  repository: Repository,
  paths: readonly string[],
  request: {
    readonly options: BackupOptions;
    readonly time: Timestamp;
    readonly earlier: readonly StoredSnapshot[];
  },
): Promise<StoredSnapshot | undefined> {
  const { options, time, earlier } = request;
  if (options.force) return undefined;
  if (options.parent !== undefined) {
    return (await resolveSnapshot(repository, options.parent, {})).snapshot;
  }
  return earlier.findLast(
    (snapshot) =>
      compareTimestamps(snapshot.time, time) <= 0 && isOfGroup(snapshot, paths, options),
  );
}

function isOfGroup(
  snapshot: StoredSnapshot,
  paths: readonly string[],
  { groupBy, hostname, tags }: BackupOptions,
): boolean {
  if (groupBy.host && snapshot.hostname !== hostname) return false;
  if (groupBy.paths && !paths.every((path) => snapshot.paths.includes(path))) return false;
  return !groupBy.tags || tags.every((tag) => snapshot.tags?.includes(tag));
}
