import type { Snapshot } from './snapshot-codec.ts';

/** Which snapshots are meant. An absent or empty part leaves all in. */
export interface SnapshotFilter {
  /** Any of these. */
  readonly hosts?: readonly string[] | undefined;
  /** All tags of any of these lists; the empty tag stands for having no tags. */
  readonly tags?: readonly (readonly string[])[] | undefined;
  /** All of these are among the paths. */
  readonly paths?: readonly string[] | undefined;
}

/** True if `snapshot` is one of those that `filter` means. */
export function matches(snapshot: Snapshot, filter: SnapshotFilter): boolean {
  return (
    matchesHost(snapshot, filter.hosts ?? []) &&
    matchesTags(snapshot, filter.tags ?? []) &&
    (filter.paths ?? []).every((path) => snapshot.paths.includes(path))
  );
}

function matchesHost(snapshot: Snapshot, hosts: readonly string[]): boolean {
  return hosts.length === 0 || hosts.includes(snapshot.hostname ?? '');
}

function matchesTags(snapshot: Snapshot, lists: readonly (readonly string[])[]): boolean {
  const tags = snapshot.tags ?? [];
  if (lists.length === 0) return true;
  return lists.some((list) =>
    list.every((tag) => (tag === '' && tags.length === 0) || tags.includes(tag)),
  );
}
