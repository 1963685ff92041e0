import { assert } from '../base/assert.ts';
import { assertComponent, type Place } from './place.ts';
import type { FileKind, FileStatus } from './system-calls.ts';
import { missingError, posixCode } from './system-error.ts';
import { system } from './system.ts';

export type { FileKind, FileStatus } from './system-calls.ts';

/** Whose status is read where a name is a symbolic link. */
export interface StatusOptions {
  /** Follow a link in the last component. Default false. */
  readonly follow?: boolean;
}

/**
 * Status of the entry at `path` (raw bytes, any length).
 * @throws FILE_NOT_FOUND, PERMISSION_DENIED, SYSTEM_CALL_FAILED
 */
export function readStatus(path: Uint8Array, options: StatusOptions = {}): FileStatus {
  const status = system().status(path, options.follow ?? false);
  if (status === undefined) throw missingError('statx', path);
  return status;
}

/**
 * Status of a name in an opened directory; never follows a link, never triggers an automount.
 * @throws as `readStatus`
 */
export function readStatusAt(directory: number, name: Uint8Array): FileStatus {
  assertComponent(name);
  const place = { directory, name };
  const status = system().status(place, false);
  if (status === undefined) throw missingError('statx', place);
  return status;
}

/** Status of an opened file. @throws SYSTEM_CALL_FAILED */
export function readStatusOf(file: number): FileStatus {
  const status = system().status(file, false);
  assert(status !== undefined, 'an opened file has a status');
  return status;
}

/**
 * As `readStatus`, but undefined if nothing is there (ENOENT, ENOTDIR). Cheap for what is missing.
 * @throws PERMISSION_DENIED, SYSTEM_CALL_FAILED (EOVERFLOW: a size beyond 2^53 bytes)
 */
export function tryReadStatus(place: Place, options: StatusOptions = {}): FileStatus | undefined {
  if (typeof place === 'object' && 'name' in place) assertComponent(place.name);
  return system().status(place, options.follow ?? false);
}

/**
 * What is there, if anything; also of a file whose size is beyond 2^53 bytes, which has no status.
 * @throws PERMISSION_DENIED, SYSTEM_CALL_FAILED
 */
export function tryReadKind(place: Place, options: StatusOptions = {}): FileKind | undefined {
  try {
    return tryReadStatus(place, options)?.kind;
  } catch (error) {
    // Only a regular file can be so large.
    if (posixCode(error) === 'EOVERFLOW') return 'file';
    throw error;
  }
}
