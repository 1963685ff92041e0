import { formatBytes } from '../base/bytes.ts';
import type { SnapshotGroup } from '../engine/snapshot-groups.ts';
import { shortId } from '../repository/id.ts';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import { formatLocalTime } from './format.ts';
import { safeText } from './safe-text.ts';
import { type Column, formatTable } from './table.ts';
import type { Variables } from './variables.ts';

/** What a table of snapshots shows besides them. */
export interface SnapshotTableOptions {
  readonly variables: Variables;
  /** Without paths and reasons. */
  readonly compact: boolean;
  /** Why each is kept, where that is told. */
  readonly reasons?: ReadonlyMap<StoredSnapshot, readonly string[]>;
}

/** The lines of a table of snapshots, as restic prints it. */
export function snapshotTable(
  rows: readonly StoredSnapshot[],
  options: SnapshotTableOptions,
): string[] {
  const footer = [`Timestamps shown in ${zoneName(options.variables)}`, `${rows.length} snapshots`];
  const spaced = !options.compact && rows.some(({ paths }) => paths.length > 1);
  return formatTable(columnsFor(rows, options), rows, { footer, spaced });
}

/** The line above the table of a group. */
export function groupTitle({ hostname, paths, tags }: SnapshotGroup): string {
  const parts: string[] = [];
  if (hostname !== '') parts.push(`host [${safeText(hostname)}]`);
  if (tags && tags.length > 0) parts.push(`tags [${tags.map(safeText).join(', ')}]`);
  if (paths) parts.push(`paths [${paths.map(safeText).join(', ')}]`);
  return `snapshots for (${parts.join(', ')}):`;
}

/** The zone that times are shown in, in the words of restic. */
function zoneName(variables: Variables): string {
  const zone = variables.all['TZ'];
  return zone === undefined ? 'local time' : safeText(zone) || 'UTC';
}

function columnsFor(
  rows: readonly StoredSnapshot[],
  { compact, reasons }: SnapshotTableOptions,
): Column<StoredSnapshot>[] {
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
  if (!compact) {
    if (reasons) {
      columns.push({
        title: 'Reasons',
        cell: (snapshot) => (reasons.get(snapshot) ?? []).map(safeText),
      });
    }
    columns.push({ title: 'Paths', cell: ({ paths }) => paths.map(safeText) });
  }
  if (rows.some(({ summary }) => summary !== undefined)) {
    columns.push({ title: 'Size', cell: ({ summary }) => sizeText(summary?.totalBytesProcessed) });
  }
  return columns;
}

function sizeText(sizeBytes: number | undefined): string {
  return sizeBytes === undefined ? '' : formatBytes(sizeBytes);
}
