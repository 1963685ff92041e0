import { HoldfastError } from '../base/errors.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Id } from './id.ts';
import { JsonWriter } from './json.ts';
import { parseDocument } from './repository-document.ts';
import { formatTime, localZone } from './time-format.ts';
import { documentSizeBytesMax } from './unpacked.ts';

/** Who holds a lock: the machine, user and process, for people and to find locks of dead processes. */
export interface LockOwner {
  readonly hostname: string;
  readonly username: string;
  readonly pid: number;
  /** Left out of the file when 0. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** What a lock file says. */
export interface LockRecord extends LockOwner {
  /** When it was written; a holder writes a new one every few minutes. */
  readonly time: Timestamp;
  /** Allows no other lock beside it. */
  readonly exclusive: boolean;
}

/** A lock file that is there. */
export interface StoredLock extends LockRecord {
  readonly id: Id;
}

const uint32Max = 0xffff_ffff;

/**
 * JSON of a lock, byte for byte as restic writes it.
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
  writer.ascii('}');
  return writer.finish();
}

/**
 * Reads the JSON of a lock. `time` and `exclusive` must be there, so that no other document passes for one.
 * @throws LOCK_DAMAGED
 */
export function decodeLock(json: Uint8Array): LockRecord {
  try {
    const fields = parseDocument(json, documentSizeBytesMax.lock);
    return {
      time: fields.required('time', fields.time('time')),
      exclusive: fields.required('exclusive', fields.boolean('exclusive')),
      hostname: fields.text('hostname') ?? '',
      username: fields.text('username') ?? '',
      pid: fields.integer('pid') ?? 0,
      uid: fields.integer('uid', uint32Max),
      gid: fields.integer('gid', uint32Max),
    };
  } catch (cause) {
    throw new HoldfastError('LOCK_DAMAGED', { cause });
  }
}
