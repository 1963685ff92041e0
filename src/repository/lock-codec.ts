import { HoldfastError } from '../base/errors.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Id } from './id.ts';
import { JsonWriter } from './json.ts';
import { type DocumentFields, parseDocument } from './repository-document.ts';
import { formatTime, localZone } from './time-format.ts';
import { documentSizeBytesMax } from './unpacked.ts';

/**
 * How a lock stands to others. `shared`: many beside each other. `publish`: shared, of one who proves and stores a snapshot
 * just now. `prune`: shared as well, but only one at a time. `commit`: alone for a short time, except for shared locks of
 * this program, whose work suffers it. `exclusive`: alone.
 * @see docs/CONCURRENCY.md
 */
export type LockKind = 'shared' | 'publish' | 'prune' | 'commit' | 'exclusive';

/** True for the kinds that other programs must see as exclusive. */
export function isExclusiveKind(kind: LockKind): boolean {
  return kind === 'exclusive' || kind === 'commit';
}

/** One run of one process. Each part is empty where the system does not tell it; then nothing is concluded from it. */
export interface ProcessIdentity {
  /** Of the machine, the same after a restart; empty inside a container. */
  readonly machine: string;
  /** Of this run of the machine's system. */
  readonly boot: string;
  /** Names what `pid` and `start` count in: containers of one machine count on their own. */
  readonly space: string;
  /** When the process started: tells it from a later one with its number. */
  readonly start: string;
}

/** Nothing known. */
export const noIdentity: ProcessIdentity = { machine: '', boot: '', space: '', start: '' };

/** Who holds a lock: the machine, user and process, for people and to find locks of dead processes. */
export interface LockOwner {
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  /** Left out of the file when 0. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** What this program adds to its locks; restic passes over it. */
export interface OwnLockRecord extends ProcessIdentity {
  /** 32 hex digits; the same in all files of one lock, as it is renewed. */
  readonly instance: string;
  readonly kind: LockKind;
  /** The command: `backup`. */
  readonly operation: string;
  /** When the lock was first written, by its owner's clock: nothing that the operation read is older. */
  readonly began: Timestamp;
}

/** What a lock file says. */
export interface LockRecord extends LockOwner {
  /** When it was written; a holder writes a new one every few minutes. */
  readonly time: Timestamp;
  /** Allows no other lock beside it. */
  readonly exclusive: boolean;
  /** Absent in locks of other programs. */
  readonly own?: OwnLockRecord | undefined;
}

/** A lock file that is there. */
export interface StoredLock extends LockRecord {
  readonly id: Id;
}

const ownTextKeys = ['instance', 'kind', 'operation', 'machine', 'boot', 'space', 'start'] as const;

const uint32Max = 0xffff_ffff;

/**
 * JSON of a lock, byte for byte as restic writes it, and after that what is ours.
 * @see docs/FORMAT.md#locks
 */
export function encodeLock(lock: LockRecord): Uint8Array<ArrayBuffer> {
  const writer = new JsonWriter(512);
  writer.ascii(`{"time":"${formatTime(lock.time, localZone)}","exclusive":${lock.exclusive}`);
  writer.ascii(',"hostname":');
  writer.string(lock.hostname);
  writer.ascii(',"username":');
  writer.string(lock.username);
  writer.ascii(',"pid":');
  writer.integer(lock.pid);
  if (lock.uid) writer.ascii(`,"uid":${lock.uid}`);
  if (lock.gid) writer.ascii(`,"gid":${lock.gid}`);
  if (lock.own) writeOwn(writer, lock.own);
  writer.ascii('}');
  return writer.finish();
}

function writeOwn(writer: JsonWriter, own: OwnLockRecord): void {
  writer.ascii(`,"holdfast":{"began":"${formatTime(own.began, localZone)}"`);
  for (const key of ownTextKeys) {
    writer.ascii(`,"${key}":`);
    writer.string(own[key]);
  }
  writer.ascii('}');
}

/**
 * Reads the JSON of a lock. `time` and `exclusive` must be there, so that no other document passes for one.
 * @throws LOCK_DAMAGED
 */
export function decodeLock(json: Uint8Array): LockRecord {
  try {
    const fields = parseDocument(json, documentSizeBytesMax.lock);
    const exclusive = fields.required('exclusive', fields.boolean('exclusive'));
    return {
      time: fields.required('time', fields.time('time')),
      exclusive,
      hostname: fields.text('hostname') ?? '',
      username: fields.text('username') ?? '',
      pid: fields.integer('pid') ?? 0,
      uid: fields.integer('uid', uint32Max),
      gid: fields.integer('gid', uint32Max),
      own: readOwn(fields.object('holdfast'), exclusive),
    };
  } catch (cause) {
    throw new HoldfastError('LOCK_DAMAGED', { cause });
  }
}

function readOwn(
  fields: DocumentFields | undefined,
  exclusive: boolean,
): OwnLockRecord | undefined {
  if (!fields) return undefined;
  const text = (name: string): string => fields.text(name) ?? '';
  return {
    began: fields.required('began', fields.time('began')),
    instance: text('instance'),
    kind: kindOf(text('kind'), exclusive),
    operation: text('operation'),
    machine: text('machine'),
    boot: text('boot'),
    space: text('space'),
    start: text('start'),
  };
}

/** What other programs see decides: a kind that does not fit it, or of a later version, is the strictest that does. */
function kindOf(text: string, exclusive: boolean): LockKind {
  if (exclusive) return text === 'commit' ? 'commit' : 'exclusive';
  return text === 'prune' || text === 'publish' ? text : 'shared';
}
