import { constants } from 'node:fs';
import { assertComponent } from './place.ts';
import { SortedNames } from './sorted-names.ts';
import type { EntryPacker, ScannedEntry, ScanOptions } from './system-calls.ts';
import { system } from './system.ts';

export { sortNames } from './sort-names.ts';
export { SortedNames } from './sorted-names.ts';
export type { ScannedEntry, ScanOptions } from './system-calls.ts';

/**
 * Opens a directory to read it and to work below it. The caller closes it with `closeFile`.
 *
 * The file descriptor serves every thread of the process, but its reading position is shared: two threads must not
 * list or scan the same descriptor at once.
 * @param options.noFollow refuse a link in the last component (ELOOP or ENOTDIR); default true
 * @throws FILE_NOT_FOUND, PERMISSION_DENIED, SYSTEM_CALL_FAILED
 */
export function openDirectory(path: Uint8Array, options: { noFollow?: boolean } = {}): number {
  const follow = (options.noFollow ?? true) ? noFollowFlag : 0;
  return system().open(path, readFlags | follow, 0);
}

/**
 * Opens the directory `name` below an opened one; refuses a link.
 * @throws FILE_NOT_FOUND, PERMISSION_DENIED, SYSTEM_CALL_FAILED (ELOOP of a link, ENOTDIR)
 */
export function openDirectoryAt(directory: number, name: Uint8Array): number {
  assertComponent(name);
  return system().open({ directory, name }, readFlags | noFollowFlag, 0);
}

/**
 * Raw names in a directory, without `.` and `..`, in the file system's order; complete, or an error.
 * @param place a path, or an opened directory, which is read from its start
 * @throws FILE_NOT_FOUND, PERMISSION_DENIED, SYSTEM_CALL_FAILED
 */
export function listDirectory(place: Uint8Array | number): Uint8Array<ArrayBuffer>[] {
  if (typeof place === 'number') return system().list(place);
  const directory = openDirectory(place, { noFollow: false });
  try {
    return system().list(directory);
  } finally {
    system().close(directory);
  }
}

/**
 * As `listDirectory` of an opened directory, sorted by raw bytes, each name once; for directories of any size.
 * @throws as `listDirectory`
 */
export function listNames(directory: number): SortedNames {
  return new SortedNames(system().listPacked(directory));
}

/**
 * The entries of an opened directory as `scanDirectory`, or, of a larger one than is held at once (some 6,000
 * entries), only the names: for `scanNames`, some thousands at a time.
 * @throws as `listDirectory`; what is wrong with an entry is its status
 */
export function scanOrList(
  directory: number,
  options: ScanOptions = {},
): ScannedEntry[] | SortedNames {
  const found = system().scanSmall(directory, options);
  return Array.isArray(found) ? found : new SortedNames(found);
}

/**
 * Adds every entry of an opened directory to `packer`, with status, attributes and what links hold.
 * @returns false if it has too many, or anything is unusual about one; also what it throws says no more than that
 */
export function packDirectory(directory: number, packer: EntryPacker): boolean {
  return system().packSmall(directory, packer);
}

/**
 * Every entry of an opened directory with its status, sorted by raw name bytes. Links are not followed.
 *
 * The directory is read from its start. An entry that is listed but refuses its status keeps its place with the error.
 * Measured on tmpfs: 110,000 files in 2,200 directories in 0.25 s, opening included, on one thread.
 * The callbacks run after the directory has been read.
 * @throws SYSTEM_CALL_FAILED if the listing itself fails: a part of a listing is never returned
 */
export function scanDirectory(directory: number, options: ScanOptions = {}): ScannedEntry[] {
  const found = scanOrList(directory, options);
  return found instanceof SortedNames
    ? system().scanNames(directory, found.slice(0, found.length), options)
    : found;
}

/**
 * The given names of an opened directory with their status, in the order given; as `scanDirectory` otherwise.
 *
 * For directories too large to hold whole (an entry takes about 650 bytes): see `scanOrList`.
 * @throws SYSTEM_CALL_FAILED if the directory itself cannot be used; what is wrong with an entry is its status
 */
export function scanNames(
  directory: number,
  names: readonly Uint8Array<ArrayBuffer>[],
  options: ScanOptions = {},
): ScannedEntry[] {
  for (const name of names) assertComponent(name);
  return system().scanNames(directory, names, options);
}

// Windows has neither flag.
const directoryFlag: number = constants.O_DIRECTORY ?? 0;
const noFollowFlag: number = constants.O_NOFOLLOW ?? 0;
// Reading a directory then leaves its access time, where the process may ask for that.
const readFlags: number = constants.O_RDONLY | directoryFlag | (constants.O_NOATIME ?? 0);
