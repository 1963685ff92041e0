import { formatBytes } from '../../base/bytes.ts';
import { shortId } from '../../repository/id.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { Invocation } from '../command.ts';
import type { SnapshotsFlags } from '../commands/snapshots.ts';
import { formatLocalTime } from '../format.ts';
import { goJson, RawJson } from '../go-json.ts';
import type { Output } from '../output.ts';
import { safeText } from '../safe-text.ts';
import { filterOf, selectSnapshots } from '../select-snapshots.ts';
import { withSession } from '../session.ts';
import { groupSnapshots, parseGroupBy, type SnapshotGroup } from '../snapshot-groups.ts';
import { snapshotJson } from '../snapshot-json.ts';
import { type Column, formatTable } from '../table.ts';
import type { Variables } from '../variables.ts';

/** `holdfast snapshots`. */
export function snapshots(invocation: Invocation<SnapshotsFlags>): Promise<number> {
  const { flags, output } = invocation;
  const groupBy = parseGroupBy(flags.groupBy ?? '');
  const isGrouped = groupBy.host || groupBy.paths || groupBy.tags;
  return withSession(invocation, { lock: 'shared' }, async (session) => {
    const ids = invocation.arguments;
    const chosen = await selectSnapshots(session, { ids, filter: filterOf(flags) }, output);
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
    group_key: { hostname, paths: paths ?? null, tags: tags ?? null },
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
  if (isGrouped) output.line(`snapshots for ${groupTitle(group)}:`);
  const footer = [`Timestamps shown in ${zoneName(variables)}`, `${rows.length} snapshots`];
  for (const line of formatTable(columnsFor(rows, flags.compact), rows, footer)) output.line(line);
}

/** The zone that times are shown in, in the words of restic. */
function zoneName(variables: Variables): string {
  const zone = variables.all['TZ'];
  return zone === undefined ? 'local time' : safeText(zone) || 'UTC';
}

function groupTitle({ hostname, paths, tags }: SnapshotGroup): string {
  const parts: string[] = [];
  if (hostname !== '') parts.push(`host [${safeText(hostname)}]`);
  if (tags && tags.length > 0) parts.push(`tags [${tags.map(safeText).join(', ')}]`);
  if (paths) parts.push(`paths [${paths.map(safeText).join(', ')}]`);
  return `(${parts.join(', ')})`;
}

function columnsFor(rows: readonly StoredSnapshot[], compact: boolean): Column<StoredSnapshot>[] {
  const width = compact ? 0 : 10;
  const columns: Column<StoredSnapshot>[] = [
    { title: 'ID', cell: ({ id }) => shortId(id) },
    { title: 'Time', cell: ({ time }) => formatLocalTime(time) },
    { title: 'Host'.padEnd(width), cell: ({ hostname }) => safeText(hostname ?? '') },
    {
      title: 'Tags'.padEnd(compact ? 6 : width),
      cell: ({ tags = [] }) => (compact ? tags.map(safeText) : tags.map(safeText).join(',')),
    },
  ];
  if (!compact) columns.push({ title: 'Paths', cell: ({ paths }) => paths.map(safeText) });
  if (rows.some(({ summary }) => summary !== undefined)) {
    columns.push({ title: 'Size', cell: ({ summary }) => sizeText(summary?.totalBytesProcessed) });
  }
  return columns;
}

function sizeText(sizeBytes: number | undefined): string {
  return sizeBytes === undefined ? '' : formatBytes(sizeBytes);
}
