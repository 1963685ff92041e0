import { assertComponent, type EntryPlace, type Place } from './place.ts';
import type { AttributeProblem, ExtendedAttribute, FileOwner, FileTimes } from './system-calls.ts';
import { system } from './system.ts';

export type {
  AttributeProblem,
  ExtendedAttribute,
  FileOwner,
  FileTimes,
} from './system-calls.ts';

/** How extended attributes are read. */
export interface ReadAttributesOptions {
  /** Of a path: do not follow a link in the last component. Default true; names and descriptors never follow. */
  readonly noFollow?: boolean;
  /** Hears of each attribute that is listed but cannot be read; the others are returned. Absent: that is thrown. */
  readonly onProblem?: AttributeProblem;
}

/**
 * Extended attributes in the order of `listxattr`; POSIX ACLs and capabilities are among them.
 *
 * Empty where the file system knows none. An attribute removed while reading is left out.
 * @throws FILE_NOT_FOUND, PERMISSION_DENIED, SYSTEM_CALL_FAILED
 */
export function readExtendedAttributes(
  place: Place,
  options: ReadAttributesOptions = {},
): readonly ExtendedAttribute[] {
  if (typeof place === 'object' && 'name' in place) assertComponent(place.name);
  return system().readAttributes(place, !(options.noFollow ?? true), options.onProblem);
}

/**
 * As `readExtendedAttributes` for a name below an opened directory; one system call if there are none.
 * @throws as `readExtendedAttributes`
 */
export function readExtendedAttributesAt(
  directory: number,
  name: Uint8Array,
  onProblem?: AttributeProblem,
): readonly ExtendedAttribute[] {
  assertComponent(name);
  return system().readAttributes({ directory, name }, false, onProblem);
}

/**
 * Sets one attribute of an opened file, or of a name below an opened directory, a link itself included.
 * @param attribute name with its namespace, at most 255 bytes; value at most 64 KiB
 * @throws PERMISSION_DENIED, STORAGE_FULL, UNSUPPORTED (no way to do it here), SYSTEM_CALL_FAILED (ENOTSUP: the file
 *   system knows no such attribute; E2BIG)
 */
export function setExtendedAttribute(
  place: number | EntryPlace,
  attribute: { readonly name: Uint8Array; readonly value: Uint8Array },
): void {
  assertTarget(place);
  system().setAttribute(place, attribute);
}

/** Removes one attribute. @throws SYSTEM_CALL_FAILED (ENODATA: it is not there) and as `setExtendedAttribute` */
export function removeExtendedAttribute(place: number | EntryPlace, name: Uint8Array): void {
  assertTarget(place);
  system().removeAttribute(place, name);
}

/**
 * Sets owner and group by number, of a link itself.
 *
 * The kernel then clears setuid, setgid and capabilities of a file: set those after. Id 2^32-1 is refused, as no file
 * can have it.
 * @throws FILE_NOT_FOUND, PERMISSION_DENIED, READ_ONLY, SYSTEM_CALL_FAILED
 */
export function setOwner(place: number | EntryPlace, owner: FileOwner): void {
  assertTarget(place);
  system().setOwner(place, owner);
}

/**
 * Sets permissions, setuid, setgid and sticky (`mode & 0o7777`), whatever the umask.
 * @throws SYSTEM_CALL_FAILED (ENOTSUP for a symbolic link, whose target is never touched), PERMISSION_DENIED
 */
export function setMode(place: number | EntryPlace, mode: number): void {
  assertTarget(place);
  system().setMode(place, mode & 0o7777);
}

/**
 * Sets times to the nanosecond, before 1970 too, of a link itself; an absent one stays.
 *
 * A file system rounds and clamps to what it can store without an error: read the status to know.
 * @throws FILE_NOT_FOUND, PERMISSION_DENIED, READ_ONLY, SYSTEM_CALL_FAILED
 */
export function setTimes(place: number | EntryPlace, times: FileTimes): void {
  assertTarget(place);
  system().setTimes(place, times);
}

/** Inode flags as `lsattr` shows them, such as `inodeFlag.immutable`; undefined where the file system has none. */
export function readInodeFlags(file: number): number | undefined {
  return system().inodeFlags(file);
}

/** Sets all inode flags of an opened file. @throws PERMISSION_DENIED, UNSUPPORTED, SYSTEM_CALL_FAILED */
export function setInodeFlags(file: number, flags: number): void {
  system().setInodeFlags(file, flags);
}

/** Inode flags a person may set (`chattr`). */
export const inodeFlag = {
  secureDelete: 0x1,
  compress: 0x4,
  synchronous: 0x8,
  immutable: 0x10,
  appendOnly: 0x20,
  noDump: 0x40,
  noAccessTime: 0x80,
} as const;

function assertTarget(place: number | EntryPlace): void {
  if (typeof place !== 'number') assertComponent(place.name);
}
