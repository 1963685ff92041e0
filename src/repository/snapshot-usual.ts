import type { Timestamp } from '../base/timestamp.ts';
import type { Snapshot, SnapshotSummary } from './snapshot-record.ts';
import { parseTime } from './time-format.ts';

/** A JSON object whose values have not been looked at. */
type Values = Readonly<Record<string, unknown>>;

/** Larger ones are rare, and hostile ones may be. */
const usualSizeBytesMax = 64 << 10;

const idPattern = /^[0-9a-f]{64}$/;

/** How a field is read; undefined if it is not of its kind. */
type Reader = (value: unknown) => unknown;

const fields: Readonly<Record<string, readonly [name: keyof Snapshot, read: Reader]>> = {
  time: ['time', timeOf],
  parent: ['parent', idOf],
  tree: ['tree', idOf],
  paths: ['paths', textsOf],
  hostname: ['hostname', textOf],
  username: ['username', textOf],
  uid: ['uid', uint32Of],
  gid: ['gid', uint32Of],
  excludes: ['excludes', textsOf],
  tags: ['tags', textsOf],
  original: ['original', idOf],
  program_version: ['programVersion', textOf],
  summary: ['summary', summaryOf],
};

const summaryFields: Readonly<Record<string, readonly [keyof SnapshotSummary, Reader]>> = {
  backup_start: ['backupStart', timeOf],
  backup_end: ['backupEnd', timeOf],
  files_new: ['filesNew', countOf],
  files_changed: ['filesChanged', countOf],
  files_unmodified: ['filesUnmodified', countOf],
  dirs_new: ['dirsNew', countOf],
  dirs_changed: ['dirsChanged', countOf],
  dirs_unmodified: ['dirsUnmodified', countOf],
  data_blobs: ['dataBlobs', countOf],
  tree_blobs: ['treeBlobs', countOf],
  data_added: ['dataAdded', countOf],
  data_added_packed: ['dataAddedPacked', countOf],
  total_files_processed: ['totalFilesProcessed', countOf],
  total_bytes_processed: ['totalBytesProcessed', countOf],
};

/**
 * Reads a snapshot as nearly all are: written by a program without spaces, with the fields that we know, each once. The
 * engine's own parser takes a tenth of the time of ours, which has not run often enough to be compiled by then.
 *
 * What JSON.stringify gives back letter by letter has no number, string or key that JSON.parse reads otherwise than
 * Go does; what has escapes is not looked at.
 * @returns undefined for anything else, which says nothing about it
 */
export function decodeUsualSnapshot(json: Uint8Array): Snapshot | undefined {
  if (json.byteLength > usualSizeBytesMax) return undefined;
  const text = Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString('utf8');
  if (text.includes('\\') || text.includes('\ufffd')) return undefined;
  const parsed = parseExact(text);
  if (!isObject(parsed)) return undefined;
  const snapshot = readFields(parsed, fields) as Partial<Snapshot> | undefined;
  if (!snapshot?.time || snapshot.tree === undefined) return undefined;
  const { time, tree, paths = [] } = snapshot;
  return { ...snapshot, time, tree, paths };
}

/** The value of a JSON text that is written as JSON.stringify writes it; else undefined. */
function parseExact(text: string): unknown {
  try {
    const parsed: unknown = JSON.parse(text);
    return JSON.stringify(parsed) === text ? parsed : undefined;
  } catch {
    // No JSON, or nested too deep.
    return undefined;
  }
}

function readFields(
  values: Values,
  table: Readonly<Record<string, readonly [name: string, read: Reader]>>,
): Record<string, unknown> | undefined {
  const result: Record<string, unknown> = {};
  for (const key of Object.keys(values)) {
    const field = Object.hasOwn(table, key) ? table[key] : undefined;
    if (!field) return undefined;
    const value = field[1](values[key]);
    if (value === undefined) return undefined;
    result[field[0]] = value;
  }
  return result;
}

function isObject(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function textsOf(value: unknown): string[] | undefined {
  return Array.isArray(value) && value.every((text) => typeof text === 'string')
    ? value
    : undefined;
}

function idOf(value: unknown): string | undefined {
  return typeof value === 'string' && idPattern.test(value) ? value : undefined;
}

function countOf(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && Number(value) >= 0 ? Number(value) : undefined;
}

function uint32Of(value: unknown): number | undefined {
  const count = countOf(value);
  return count !== undefined && count <= 0xffff_ffff ? count : undefined;
}

function timeOf(value: unknown): Timestamp | undefined {
  if (typeof value !== 'string') return undefined;
  try {
    return parseTime(value);
  } catch {
    return undefined;
  }
}

function summaryOf(value: unknown): SnapshotSummary | undefined {
  return isObject(value) ? readFields(value, summaryFields) : undefined;
}
