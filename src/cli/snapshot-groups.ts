import type { StoredSnapshot } from '../repository/snapshots.ts';
import { usage } from './parse.ts';

/** What snapshots of one group share. */
export interface GroupBy {
  readonly host: boolean;
  readonly paths: boolean;
  readonly tags: boolean;
}

export interface SnapshotGroup {
  /** '' and undefined where the key was not asked for. */
  readonly hostname: string;
  readonly paths: readonly string[] | undefined;
  readonly tags: readonly string[] | undefined;
  readonly snapshots: readonly StoredSnapshot[];
}

/** Reads a value of `--group-by`. @throws USAGE */
export function parseGroupBy(text: string): GroupBy {
  const groupBy = { host: false, paths: false, tags: false };
  for (const part of text.split(',').map((word) => word.trim())) {
    if (part === 'host' || part === 'hosts') groupBy.host = true;
    else if (part === 'path' || part === 'paths') groupBy.paths = true;
    else if (part === 'tag' || part === 'tags') groupBy.tags = true;
    else if (part !== '') {
      const hint = 'Known are host, paths and tags, separated by comma.';
      throw usage(`unknown grouping option ${JSON.stringify(part)} for --group-by`, hint);
    }
  }
  return groupBy;
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
