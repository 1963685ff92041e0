import type { GroupBy } from '../engine/snapshot-groups.ts';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import { usage } from './parse.ts';

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

/** A snapshot as restic shows it where it groups some: paths are sorted, and tags if they are what groups. */
export function asGrouped(snapshot: StoredSnapshot, groupBy: GroupBy): StoredSnapshot {
  const { paths, tags } = snapshot;
  const sorted = { ...snapshot, paths: paths.toSorted() };
  return groupBy.tags && tags ? { ...sorted, tags: tags.toSorted() } : sorted;
}
