import { HoldfastError } from '../base/errors.ts';
import type { Timestamp } from '../base/timestamp.ts';
import { JsonWriter } from './json.ts';
import {
  type DocumentFields,
  parseDocument,
  type UnknownField,
  writeUnknownFields,
} from './repository-document.ts';
import type { Snapshot, SnapshotSummary } from './snapshot-record.ts';
import { decodeUsualSnapshot } from './snapshot-usual.ts';
import { formatTime, localZone, zeroTime } from './time-format.ts';
import { documentSizeBytesMax } from './unpacked.ts';

export type { Snapshot, SnapshotSummary, StoredSnapshot } from './snapshot-record.ts';

type CounterName = Exclude<keyof SnapshotSummary, 'backupStart' | 'backupEnd' | 'unknown'>;

/** Counters of the summary in the order of the document. */
const counters: readonly (readonly [name: CounterName, key: string])[] = [
  ['filesNew', 'files_new'],
  ['filesChanged', 'files_changed'],
  ['filesUnmodified', 'files_unmodified'],
  ['dirsNew', 'dirs_new'],
  ['dirsChanged', 'dirs_changed'],
  ['dirsUnmodified', 'dirs_unmodified'],
  ['dataBlobs', 'data_blobs'],
  ['treeBlobs', 'tree_blobs'],
  ['dataAdded', 'data_added'],
  ['dataAddedPacked', 'data_added_packed'],
  ['totalFilesProcessed', 'total_files_processed'],
  ['totalBytesProcessed', 'total_bytes_processed'],
];

const summaryKeys: readonly string[] = [
  'backup_start',
  'backup_end',
  ...counters.map(([, key]) => key),
];

const snapshotKeys: readonly string[] = [
  'time',
  'parent',
  'tree',
  'paths',
  'hostname',
  'username',
  'uid',
  'gid',
  'excludes',
  'tags',
  'original',
  'program_version',
  'summary',
];

const uint32Max = 0xffff_ffff;

/**
 * JSON of a snapshot, byte for byte as restic writes it: field order, what is left out when empty, times.
 * Unknown fields follow at the end.
 * @see docs/FORMAT.md#snapshots
 */
export function encodeSnapshot(snapshot: Snapshot): Uint8Array<ArrayBuffer> {
  const writer = new JsonWriter();
  writer.ascii('{"time":');
  writeTime(writer, snapshot.time);
  writeText(writer, 'parent', snapshot.parent);
  writer.ascii(',"tree":');
  writer.string(snapshot.tree);
  writer.ascii(',"paths":');
  writeTexts(writer, snapshot.paths);
  writeText(writer, 'hostname', snapshot.hostname);
  writeText(writer, 'username', snapshot.username);
  writeInteger(writer, 'uid', snapshot.uid);
  writeInteger(writer, 'gid', snapshot.gid);
  writeList(writer, 'excludes', snapshot.excludes);
  writeList(writer, 'tags', snapshot.tags);
  writeText(writer, 'original', snapshot.original);
  writeText(writer, 'program_version', snapshot.programVersion);
  if (snapshot.summary) writeSummary(writer, snapshot.summary);
  writeUnknownFields(writer, snapshot.unknown ?? []);
  writer.ascii('}');
  return writer.finish();
}

function writeTime(writer: JsonWriter, time: Timestamp): void {
  writer.ascii(`"${formatTime(time, localZone)}"`);
}

/** Left out when empty, as every optional field. */
function writeText(writer: JsonWriter, key: string, text: string | undefined): void {
  if (!text) return;
  writer.ascii(`,"${key}":`);
  writer.string(text);
}

function writeInteger(writer: JsonWriter, key: string, value: number | undefined): void {
  if (!value) return;
  writer.ascii(`,"${key}":`);
  writer.integer(value);
}

function writeList(writer: JsonWriter, key: string, texts: readonly string[] | undefined): void {
  if (!texts || texts.length === 0) return;
  writer.ascii(`,"${key}":`);
  writeTexts(writer, texts);
}

function writeTexts(writer: JsonWriter, texts: readonly string[]): void {
  writer.ascii('[');
  for (const [index, text] of texts.entries()) {
    if (index > 0) writer.ascii(',');
    writer.string(text);
  }
  writer.ascii(']');
}

/** A summary has all its fields: what was not recorded is zero. */
function writeSummary(writer: JsonWriter, summary: SnapshotSummary): void {
  writer.ascii(',"summary":{"backup_start":');
  writeTime(writer, summary.backupStart ?? zeroTime);
  writer.ascii(',"backup_end":');
  writeTime(writer, summary.backupEnd ?? zeroTime);
  for (const [name, key] of counters) {
    writer.ascii(`,"${key}":`);
    writer.integer(summary[name] ?? 0);
  }
  writeUnknownFields(writer, summary.unknown ?? []);
  writer.ascii('}');
}

/**
 * Reads the JSON of a snapshot. Only `time` and `tree` must be there, as for restic; what is there must be of its
 * kind, so that another document under a snapshot's name is told apart.
 * @throws SNAPSHOT_DAMAGED
 */
export function decodeSnapshot(json: Uint8Array): Snapshot {
  const usual = decodeUsualSnapshot(json);
  if (usual) return usual;
  return decodeAnySnapshot(json);
}

/** As `decodeSnapshot`, however it is written. */
export function decodeAnySnapshot(json: Uint8Array): Snapshot {
  try {
    return readSnapshot(parseDocument(json, documentSizeBytesMax.snapshot));
  } catch (cause) {
    throw new HoldfastError('SNAPSHOT_DAMAGED', { cause });
  }
}

function readSnapshot(fields: DocumentFields): Snapshot {
  const summary = fields.object('summary');
  const snapshot: Snapshot = {
    time: fields.required('time', fields.time('time')),
    parent: fields.id('parent'),
    tree: fields.required('tree', fields.id('tree')),
    paths: fields.texts('paths') ?? [],
    hostname: fields.text('hostname'),
    username: fields.text('username'),
    uid: fields.integer('uid', uint32Max),
    gid: fields.integer('gid', uint32Max),
    excludes: fields.texts('excludes'),
    tags: fields.texts('tags'),
    original: fields.id('original'),
    programVersion: fields.text('program_version'),
    summary: summary && readSummary(summary),
    unknown: someOf(fields.unknown(snapshotKeys)),
  };
  return snapshot;
}

function readSummary(fields: DocumentFields): SnapshotSummary {
  const counts: { -readonly [name in CounterName]?: number | undefined } = {};
  for (const [name, key] of counters) counts[name] = fields.integer(key);
  return {
    backupStart: fields.time('backup_start'),
    backupEnd: fields.time('backup_end'),
    ...counts,
    unknown: someOf(fields.unknown(summaryKeys)),
  };
}

function someOf(fields: readonly UnknownField[]): readonly UnknownField[] | undefined {
  return fields.length > 0 ? fields : undefined;
}
