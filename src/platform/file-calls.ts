import { constants, fsyncSync, ftruncateSync, writeSync } from 'node:fs';
import { assert } from '../base/assert.ts';
import { assertComponent, type EntryPlace, type Place } from './place.ts';
import type { NodeRequest, ReadInto } from './system-calls.ts';
import { fromNodeError, posixCode, systemError } from './system-error.ts';
import { system } from './system.ts';

export type { EntryPlace, Place } from './place.ts';
export type { NodeRequest } from './system-calls.ts';

/** How a file is opened. The defaults read only, and neither follow a link nor wait. */
export interface OpenFileOptions {
  /** Open for reading and writing. Default false: reading only. */
  readonly write?: boolean;
  /** Make the file if missing, with `mode`. */
  readonly create?: boolean;
  /** With `create`: FILE_EXISTS if it is there. */
  readonly exclusive?: boolean;
  /** Cut to size 0. */
  readonly truncate?: boolean;
  /** Permissions of a created file, subject to the umask. Default 0o600. */
  readonly mode?: number;
  /** Refuse a link in the last component (ELOOP). Default true. */
  readonly noFollow?: boolean;
  /** Never wait for the other end of a FIFO or for a device. Default true. */
  readonly nonBlocking?: boolean;
}

/**
 * Opens a file; the caller closes it with `closeFile`.
 *
 * The descriptor belongs to the process and serves every worker thread. With the defaults the call neither follows a
 * link nor waits for the writer of a FIFO, so compare `readStatusOf` with what was expected (hazard C3). Reading
 * leaves the access time alone where the process may ask for that.
 * @throws FILE_NOT_FOUND, FILE_EXISTS, PERMISSION_DENIED, READ_ONLY, STORAGE_FULL, SYSTEM_CALL_FAILED
 */
export function openFile(place: Uint8Array | EntryPlace, options: OpenFileOptions = {}): number {
  if (!(place instanceof Uint8Array)) assertComponent(place.name);
  return system().open(place, flagsOf(options), options.mode ?? 0o600);
}

/**
 * Reads at `position`, or at the file's own offset if undefined. One system call.
 * @returns bytes read, which may be fewer than `target` holds; 0 at the end
 * @throws SYSTEM_CALL_FAILED (EIO, EISDIR, EAGAIN of a non-blocking FIFO, …)
 */
export function readAt(file: number, target: Uint8Array, position?: number): number {
  return system().read(file, target, position);
}

/**
 * Writes all of `bytes` at `position`, or at the file's own offset if undefined.
 * @throws STORAGE_FULL, SYSTEM_CALL_FAILED; then a part may have been written
 */
export function writeAt(file: number, bytes: Uint8Array, position?: number): void {
  let done = 0;
  while (done < bytes.length) {
    const at = position === undefined ? null : position + done;
    const written = attempt('write', file, () => writeSync(file, bytes, done, null, at));
    if (written === 0) throw systemError({ call: 'write', place: file }, 'EIO');
    done += written;
  }
}

/** Sets the size; what is added reads as zeros and is a hole. @throws STORAGE_FULL, SYSTEM_CALL_FAILED */
export function truncateFile(file: number, sizeBytes: number): void {
  attempt('ftruncate', file, () => ftruncateSync(file, sizeBytes));
}

/**
 * Waits until the file, or the names in a directory, are on stable storage.
 *
 * After a failure the data may be lost although the next call succeeds: write a new file, never try again.
 * @throws STORAGE_FULL, SYSTEM_CALL_FAILED (EIO)
 */
export function syncFile(file: number): void {
  attempt('fsync', file, () => fsyncSync(file));
}

/**
 * Waits until all that was written to the file system of an opened file is on stable storage: for many files, one call
 * instead of one each. Since Linux 5.8 a write that failed for any of them is an error here.
 * @returns false where there is no such call; use `syncFile` on each then
 * @throws STORAGE_FULL, SYSTEM_CALL_FAILED (EIO)
 */
export function syncFileSystem(file: number): boolean {
  return system().syncFileSystem(file);
}

/**
 * Locks an opened file or directory against others who lock it, until it is closed or the process ends. Does not wait,
 * and keeps nobody from reading or writing.
 * @returns false if somebody else holds it; true also where this system or file system has no such locks
 */
export function lockFile(file: number): boolean {
  return system().lock(file);
}

/**
 * Closes a file or directory. Never call it twice for one descriptor.
 * @throws SYSTEM_CALL_FAILED if what was written is lost (EIO); the descriptor is gone then, too
 */
export function closeFile(file: number): void {
  system().close(file);
}

/** Makes a directory; `mode` is subject to the umask. @throws FILE_EXISTS and as `openFile` */
export function makeDirectoryAt(directory: number, name: Uint8Array, mode = 0o700): void {
  assertComponent(name);
  system().makeDirectory({ directory, name }, mode);
}

/** Makes a symbolic link that holds `target`, any bytes but NUL. @throws FILE_EXISTS and as `openFile` */
export function symlinkAt(directory: number, name: Uint8Array, target: Uint8Array): void {
  assertComponent(name);
  system().makeSymlink({ directory, name }, target);
}

/**
 * Gives an existing file (not a directory) one more name.
 * @param existing a name, linked itself if it is a symbolic link, or an opened file
 * @throws FILE_EXISTS and as `openFile`
 */
export function linkAt(existing: EntryPlace | number, place: EntryPlace): void {
  if (typeof existing !== 'number') assertComponent(existing.name);
  assertComponent(place.name);
  system().makeLink(existing, place);
}

/** Makes a device, FIFO, socket or empty file. @throws PERMISSION_DENIED, UNSUPPORTED and as `openFile` */
export function makeNodeAt(directory: number, name: Uint8Array, node: NodeRequest): void {
  assertComponent(name);
  system().makeNode({ directory, name }, node);
}

/**
 * Renames in one step, replacing what has the new name unless told otherwise.
 * @param options.replace default true; false: FILE_EXISTS if the new name is taken
 * @throws FILE_NOT_FOUND, PERMISSION_DENIED, READ_ONLY, STORAGE_FULL, SYSTEM_CALL_FAILED
 */
export function renameAt(
  from: EntryPlace,
  to: EntryPlace,
  options: { replace?: boolean } = {},
): void {
  assertComponent(from.name);
  assertComponent(to.name);
  system().rename(from, to, options.replace ?? true);
}

/**
 * Removes a name: of an empty directory with `directory: true`, of anything else without.
 * @throws FILE_NOT_FOUND, PERMISSION_DENIED, READ_ONLY, SYSTEM_CALL_FAILED (ENOTEMPTY)
 */
export function unlinkAt(
  directory: number,
  name: Uint8Array,
  options: { directory?: boolean } = {},
): void {
  assertComponent(name);
  system().unlink({ directory, name }, options.directory ?? false);
}

/**
 * Opens a file as `openFile` does by default, reads once from its start, looks at its status and closes it: for small files,
 * with as little as can be around the four calls.
 * @returns bytes read, with the status behind the read in `into.status`; -1 if any of it failed: other calls tell why
 */
export function readFileAtOnce(path: Uint8Array, into: ReadInto): number {
  assert(into.sizeBytes <= into.target.length, 'what is read fits its room');
  return system().readAtOnce(path, readingFlags, into);
}

/** What a symbolic link holds, in raw bytes. @throws FILE_NOT_FOUND, SYSTEM_CALL_FAILED (EINVAL: no link) */
export function readLink(path: Uint8Array): Uint8Array<ArrayBuffer> {
  return system().readLink(path);
}

/** As `readLink`, for a name below an opened directory. @throws as `readLink` */
export function readLinkAt(directory: number, name: Uint8Array): Uint8Array<ArrayBuffer> {
  assertComponent(name);
  return system().readLink({ directory, name });
}

// Undefined where the system has no such flag.
const keepAccessTimeFlag: number = constants.O_NOATIME ?? 0;
const noFollowFlag: number = constants.O_NOFOLLOW ?? 0;
const nonBlockingFlag: number = constants.O_NONBLOCK ?? 0;

const readingFlags = flagsOf({});

function flagsOf(options: OpenFileOptions): number {
  let flags: number = options.write ? constants.O_RDWR : constants.O_RDONLY;
  if (options.create) flags |= constants.O_CREAT;
  if (options.exclusive) flags |= constants.O_EXCL;
  if (options.truncate) flags |= constants.O_TRUNC;
  if (options.noFollow ?? true) flags |= noFollowFlag;
  if (options.nonBlocking ?? true) flags |= nonBlockingFlag;
  if (!options.write && !options.create) flags |= keepAccessTimeFlag;
  return flags;
}

function attempt<T>(call: string, place: Place, action: () => T): T {
  for (;;) {
    try {
      return action();
    } catch (error) {
      if (posixCode(error) !== 'EINTR') throw fromNodeError({ call, place }, error);
    }
  }
}
