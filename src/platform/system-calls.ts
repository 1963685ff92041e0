import type { HoldfastError } from '../base/errors.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { EntryPlace, Place } from './place.ts';
import type { NamePlace } from './sort-names.ts';
import type { PackedNames } from './sorted-names.ts';

/** What an entry is. */
export type FileKind =
  | 'file'
  | 'directory'
  | 'symlink'
  | 'block'
  | 'character'
  | 'fifo'
  | 'socket'
  | 'unknown';

/**
 * What the file system says about one entry. A plain object, which may be posted to another thread, unless it was read
 * ahead and is no directory.
 */
export interface FileStatus {
  readonly kind: FileKind;
  /** `st_mode & 0o7777`: permissions with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  /** Exact: a bigint only from 2^53 on. */
  readonly inode: number | bigint;
  /** Of the file system that holds the entry, as `makeDevice` encodes it. */
  readonly device: number | bigint;
  /** Which device a `block` or `character` entry stands for; 0 for others. */
  readonly rdev: number | bigint;
  readonly sizeBytes: number;
  /** Blocks of 512 bytes in use. */
  readonly blocks: number;
  readonly mtime: Timestamp;
  readonly atime: Timestamp;
  readonly ctime: Timestamp;
}

/** One extended attribute, name with its namespace (`user.note`), both in raw bytes. */
export interface ExtendedAttribute {
  readonly name: Uint8Array<ArrayBuffer>;
  readonly value: Uint8Array<ArrayBuffer>;
}

/** One entry of a scanned directory: its status, or why there is none. */
export interface ScannedEntry {
  /** Raw bytes, owned by the caller. */
  readonly name: Uint8Array<ArrayBuffer>;
  readonly status: FileStatus | HoldfastError;
  /** In the order of `listxattr`; empty if there are none, or if they were not asked for. */
  readonly extendedAttributes: readonly ExtendedAttribute[];
}

/** What is read of the entries of a directory besides their names, and who hears what cannot be read. */
export interface ScanOptions {
  /** Read the extended attributes of every entry too: 1.6 µs for an entry that has none. Default false. */
  readonly extendedAttributes?: boolean;
  /** Hears the name of an entry that was listed but is gone; it is left out of the result. */
  readonly onVanished?: (name: Uint8Array) => void;
  /** Hears of attributes that could not be listed or read; the entry is returned without them. */
  readonly onAttributeProblem?: (entryName: Uint8Array, error: HoldfastError) => void;
}

/** Writes a status to `numbers` from `at` on. @returns false if numbers do not hold all of it exactly */
export type StatusPacker = (numbers: Float64Array, at: number) => boolean;

/** Takes the entries of a directory as numbers, in the order of their names. */
export interface EntryPacker {
  /** @returns what `pack` returns */
  add(name: NamePlace, pack: StatusPacker): boolean;
  /** What the entry added last has besides, which few have. */
  addExtra(extra: EntryExtra): void;
}

/** What few entries have, and so has no column of its own. */
export interface EntryExtra {
  readonly attributes: readonly ExtendedAttribute[];
  /** Of a symbolic link. */
  readonly linkTarget: Uint8Array<ArrayBuffer> | undefined;
}

/** What most entries have. */
export const noAttributes: readonly ExtendedAttribute[] = Object.freeze([]);

/** Receives an attribute that is listed but cannot be read. */
export type AttributeProblem = (name: Uint8Array, error: HoldfastError) => void;

/** Where `readAtOnce` puts what it reads. */
export interface ReadInto {
  readonly target: Uint8Array;
  /** How much is read, from the start of `target` on. */
  readonly sizeBytes: number;
  /** The status behind the read, as packed scans hold it. */
  readonly status: Float64Array;
}

/** What `makeNodeAt` can make. */
export interface NodeRequest {
  readonly kind: 'block' | 'character' | 'fifo' | 'socket' | 'file';
  /** Permissions, subject to the umask: follow with `setMode`. */
  readonly mode: number;
  /** Of a block or character device. */
  readonly rdev?: number | bigint;
}

/** New times; the absent one stays. */
export interface FileTimes {
  readonly mtime?: Timestamp | undefined;
  readonly atime?: Timestamp | undefined;
}

/** New owner; the absent part stays. */
export interface FileOwner {
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/** What is not kept, in words that go into a list. */
export interface PlatformLosses {
  /** By a backup: it is not stored as it is. */
  readonly backup: readonly string[];
  /** By a restore: it is not set as it was stored, or not as safely as elsewhere. */
  readonly restore: readonly string[];
}

/**
 * The calls of the operating system that the platform room builds on, made twice: from libc on Linux and from
 * `node:fs` elsewhere. All are synchronous, never follow a link in the last component unless told so, and throw
 * HoldfastError as `systemError` makes it.
 */
export interface SystemCalls {
  readonly kind: 'linux' | 'portable';
  /** What this implementation does not keep; nothing on Linux. */
  readonly losses: PlatformLosses;

  /** undefined: there is no such entry (ENOENT, ENOTDIR). */
  status(place: Place, follow: boolean): FileStatus | undefined;
  /** Whether an opened directory is where something is mounted; undefined where the system does not tell. */
  isMountRoot(directory: number): boolean | undefined;
  list(directory: number): Uint8Array<ArrayBuffer>[];
  listPacked(directory: number): PackedNames;
  /** Every entry with its status, sorted, each name once; or only the names if there are more than some thousands. */
  scanSmall(directory: number, options: ScanOptions): ScannedEntry[] | PackedNames;
  /**
   * Adds every entry to `packer`, with its attributes. @returns false if there are too many, or anything is unusual about
   * one: what was added is to be dropped then
   */
  packSmall(directory: number, packer: EntryPacker): boolean;
  scanNames(
    directory: number,
    names: readonly Uint8Array<ArrayBuffer>[],
    options: ScanOptions,
  ): ScannedEntry[];

  /** `flags` as in `fs.constants`. Close-on-exec always; O_NOATIME only where the process may. */
  open(place: Uint8Array | EntryPlace, flags: number, mode: number): number;
  close(file: number): void;
  /** `position` undefined: at the file's own offset. */
  read(file: number, target: Uint8Array, position: number | undefined): number;
  /**
   * Opens, reads once from the start, looks at the status and closes.
   * @returns bytes read; -1 if any of it failed, or numbers do not hold the status: what is in `into` means nothing then
   */
  readAtOnce(path: Uint8Array, flags: number, into: ReadInto): number;
  readLink(place: Place): Uint8Array<ArrayBuffer>;

  makeDirectory(place: EntryPlace, mode: number): void;
  makeSymlink(place: EntryPlace, target: Uint8Array): void;
  makeLink(existing: EntryPlace | number, place: EntryPlace): void;
  makeNode(place: EntryPlace, node: NodeRequest): void;
  rename(from: EntryPlace, to: EntryPlace, replace: boolean): void;
  unlink(place: EntryPlace, isDirectory: boolean): void;

  readAttributes(
    place: Place,
    follow: boolean,
    onProblem: AttributeProblem | undefined,
  ): readonly ExtendedAttribute[];
  setAttribute(place: number | EntryPlace, attribute: ExtendedAttributeInput): void;
  removeAttribute(place: number | EntryPlace, name: Uint8Array): void;
  setOwner(place: number | EntryPlace, owner: FileOwner): void;
  setMode(place: number | EntryPlace, mode: number): void;
  setTimes(place: number | EntryPlace, times: FileTimes): void;
  /** undefined: the file system has no such flags. */
  inodeFlags(file: number): number | undefined;
  setInodeFlags(file: number, flags: number): void;

  /** First byte of data, or of a hole, at or after `position`; undefined at the end; -1 if this cannot be known. */
  seekData(file: number, position: number): number | undefined;
  seekHole(file: number, position: number): number | undefined;
  /** False: not possible here; the file is unchanged. */
  punchHole(file: number, start: number, end: number): boolean;
  allocate(file: number, sizeBytes: number): boolean;
  /** False: not possible here. */
  syncFileSystem(file: number): boolean;
  /** False: somebody else holds it. True also where there are no such locks. */
  lock(file: number): boolean;

  userName(uid: number): string | undefined;
  groupName(gid: number): string | undefined;
  userId(name: string): number | undefined;
  groupId(name: string): number | undefined;
  /** True if this process may write to the terminal `file` as its foreground; true when unknown. */
  isForeground(file: number): boolean;
  /** Lets this thread get a signal, by its number, that is held back for it; where that is possible. */
  admitSignal(signal: number): void;
  /** Lets standard output and standard error lead nowhere, where that is possible. */
  detachOutput(): void;
  /** Ends the process without waiting for its threads, where that is possible. */
  endProcess(exitCode: number): void;
}

/** An attribute to set. */
export interface ExtendedAttributeInput {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}
