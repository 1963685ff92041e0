import { groupSnapshots, type SnapshotGroup } from '../../engine/snapshot-groups.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { Invocation } from '../command.ts';
import type { SnapshotsFlags } from '../commands/snapshots.ts';
import { goJson, RawJson } from '../go-json.ts';
import { asGrouped, parseGroupBy } from '../group-by.ts';
import type { Output } from '../output.ts';
import { filterOf, selectSnapshots } from '../select-snapshots.ts';
import { withSession } from '../session.ts';
import { snapshotJson } from '../snapshot-json.ts';
import { groupTitle, snapshotTable } from '../snapshot-table.ts';

/** `holdfast snapshots`. */
export function snapshots(invocation: Invocation<SnapshotsFlags>): Promise<number> {
  const { flags, output } = invocation;
  const groupBy = parseGroupBy(flags.groupBy ?? '');
  const isGrouped = groupBy.host || groupBy.paths || groupBy.tags;
  return withSession(invocation, { lock: 'shared' }, async (session) => {
    const ids = invocation.arguments;
    const found = await selectSnapshots(session, { ids, filter: filterOf(flags) }, output);
    const chosen = found.map((snapshot) => asGrouped(snapshot, groupBy));
    const groups = isGrouped ? groupSnapshots(chosen, groupBy) : [onlyGroup(chosen)];
    const shown = groups.map((group) => latestOf(group, isGrouped, flags.latest));
    if (output.isJson) printJson(output, shown, isGrouped);
    else for (const group of shown) printTable(invocation, group, isGrouped);
    return session.exitCode();
  });
}

function onlyGroup(all: readonly StoredSnapshot[]): SnapshotGroup {
  return { hostname: '', paths: undefined, tags: undefined, snapshots: all };
}

/** Keeps the last snapshots of a group; of each host and path where there is no other grouping. */
function latestOf(
  group: SnapshotGroup,
  isGrouped: boolean,
  count: number | undefined,
): SnapshotGroup {
  if (!count) return group;
  const groupBy = { host: true, paths: true, tags: false };
  const parts = isGrouped ? [group] : groupSnapshots(group.snapshots, groupBy);
  const kept = new Set(parts.flatMap((part) => part.snapshots.slice(-count)));
  return { ...group, snapshots: group.snapshots.filter((snapshot) => kept.has(snapshot)) };
}

function printJson(output: Output, groups: readonly SnapshotGroup[], isGrouped: boolean): void {
  const lists = groups.map((group) =>
    group.snapshots.map((snapshot) => new RawJson(snapshotJson(snapshot))),
  );
  if (!isGrouped) return output.line(goJson(lists.flat()));
  const items = groups.map(({ hostname, paths, tags }, i) => ({
    group_key: { hostname, paths: orNull(paths), tags: orNull(tags) },
    snapshots: lists[i] ?? [],
  }));
  output.line(goJson(items));
}

function printTable(
  { output, flags, variables }: Invocation<SnapshotsFlags>,
  group: SnapshotGroup,
  isGrouped: boolean,
): void {
  const { snapshots: rows } = group;
  if (rows.length === 0) return;
  if (isGrouped) output.line(groupTitle(group));
  for (const line of snapshotTable(rows, { variables, compact: flags.compact })) output.line(line);
}

/** Go writes a list that never got an element as null. */
function orNull(list: readonly string[] = []): readonly string[] | null {
  return list.length > 0 ? list : null;
}
