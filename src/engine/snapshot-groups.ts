import type { StoredSnapshot } from '../repository/snapshots.ts';

/** What snapshots of one group share. */
export interface GroupBy {
  readonly host: boolean;
  readonly paths: boolean;
  readonly tags: boolean;
}

/** Snapshots with equal keys, in the order given. Paths and tags are sorted, so that their order does not count. */
export interface SnapshotGroup {
  /** '' and undefined where the key was not asked for. */
  readonly hostname: string;
  readonly paths: readonly string[] | undefined;
  readonly tags: readonly string[] | undefined;
  readonly snapshots: readonly StoredSnapshot[];
}

/** Groups snapshots by equal keys; groups stand in the order of their first snapshot. */
export function groupSnapshots(
  snapshots: readonly StoredSnapshot[],
  groupBy: GroupBy,
): SnapshotGroup[] {
  const groups = new Map<string, SnapshotGroup & { snapshots: StoredSnapshot[] }>();
  for (const snapshot of snapshots) {
    const hostname = groupBy.host ? (snapshot.hostname ?? '') : '';
    const paths = groupBy.paths ? [...snapshot.paths].sort() : undefined;
    const tags = groupBy.tags ? [...(snapshot.tags ?? [])].sort() : undefined;
    const key = JSON.stringify([hostname, paths, tags]);
    const group = groups.get(key);
    if (group) group.snapshots.push(snapshot);
    else groups.set(key, { hostname, paths, tags, snapshots: [snapshot] });
  }
  return [...groups.values()];
}
