import type { HoldfastError } from '../base/errors.ts';
import type { PackedDirectory } from '../platform/packed-scan.ts';
import type { FileStatus } from '../platform/status.ts';
import type { ListedRequest } from './open-listed.ts';

export {
  type OpenRequest,
  openRequestOf,
  openSourceFile,
  type OpenedFile,
} from './open-file.ts';
export { type Identity, type ListedRequest, openListed } from './open-listed.ts';

/** One extended attribute, name and value as the system gave them. */
export interface ExtendedAttribute {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** One file system object to be protected, as it was when its directory was listed. */
export interface SourceEntry {
  /** Name in the snapshot: raw bytes, no slash. Differs from the name on disk only after a collision of targets (`name-1`). */
  readonly name: Uint8Array;
  /** Absolute path on this machine, raw bytes; may be longer than PATH_MAX. For messages and for opening. Computed on access: keep the result when it is needed twice. */
  readonly path: Uint8Array;
  readonly status: FileStatus;
  /** What a symlink points to; present for symlinks only. */
  readonly linkTarget?: Uint8Array | undefined;
  /** In the kernel's order; empty where the file system has none. */
  readonly extendedAttributes: readonly ExtendedAttribute[];
  /** True for a directory that is in the tree only because a target lies below it. */
  readonly isImplied?: boolean;
}

/** Something that could not be read; the rest goes on, and the result names it (exit code 3). */
export interface SourceProblem {
  readonly path: Uint8Array;
  readonly error: HoldfastError;
  readonly during: 'scan' | 'archival';
}

/** The entries of one directory, all of which are files and directories without attributes. */
export interface PackedEntries {
  readonly directory: PackedDirectory;
  /** Those of `entries` that are directories, each with its place there. */
  readonly directories: readonly { readonly slot: number; readonly entry: SourceEntry }[];
}

/** The entries of one directory, or the first of them. */
export interface SourceListing {
  /** Strictly increasing by raw name bytes; excludes applied, sockets left out. */
  readonly entries: readonly SourceEntry[];
  /** What is missing from `entries` or incomplete in them. */
  readonly problems: readonly SourceProblem[];
  /** False: the directory itself could not be listed; `entries` is empty, and the directory must be left out of the tree. */
  readonly complete: boolean;
  /**
   * Paths that were there a moment before and are gone now; not in `entries`. Holds the directory's own path (and
   * `complete` is false) if the directory itself has vanished.
   */
  readonly vanished: readonly Uint8Array[];
  /**
   * Lists the entries that come next by name, for a directory that is too large for one listing; absent when these were
   * the last. To be called once, when this part is done with. A further part that is not `complete` has none after it:
   * what was listed before stays in the tree. @throws as `list`
   */
  readonly rest?: (() => SourceListing) | undefined;
  /** Set if all entries are there as numbers too: `entries` is made when it is asked for, which costs more. */
  readonly packed?: PackedEntries | undefined;
}

/** A part of a far file. */
export interface FarPart {
  /** Fewer than asked for only at the end of the file. Owned by whoever hears it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly atEnd: boolean;
  /** The file's status after it was read. */
  readonly status: FileStatus;
}

/**
 * An open file of a file system that may stop answering. Every call settles within the source's limit.
 *
 * One call at a time. @throws SOURCE_FAILED with details.reason `silent` if there is no answer
 */
export interface FarFile {
  readonly status: FileStatus;
  /** What was read when it was opened. */
  readonly first: FarPart;
  read(range: { readonly position: number; readonly sizeBytes: number }): Promise<FarPart>;
  /** Its extended attributes now. @throws also what the file system says */
  attributes(): Promise<readonly ExtendedAttribute[]>;
  /** Gives back what the reading needed. Never throws; idempotent. */
  close(): void;
}

/** A tree of files to be protected. One source is walked once; listing order is up to the caller, but parents come first. */
export interface Source {
  readonly kind?: 'tree';
  /** Absolute paths for the snapshot record. */
  readonly paths: readonly string[];
  /** Exclude patterns for the snapshot record. */
  readonly excludes: readonly string[];
  /**
   * The root of the snapshot's tree: all targets merged (format 12.2). Missing targets are among its problems.
   * @see docs/FORMAT.md
   */
  root(): SourceListing;
  /**
   * Lists a directory entry of this source. Synchronous and fast: no promise per entry or directory. Never follows a
   * link, also when the directory is swapped for one meanwhile.
   * @throws only errors that end the whole work (SOURCE_HOLDS_REPOSITORY is one problem of the listing, not thrown)
   */
  list(entry: SourceEntry): SourceListing;
  /**
   * To be called, and awaited if it returns a promise, before `list(entry)`: makes sure that the file systems mounted at
   * or directly below the entry answer, so that `list` cannot hang on a dead one. Usually returns undefined. Never
   * rejects: what does not answer within the limit becomes a problem of the listing.
   */
  probe?(entry: SourceEntry): Promise<void> | undefined;
  /**
   * Tells that these directories will be listed soon, the last one first. They may then be read meanwhile, on another
   * core; `list` gives the same as without. Call it as often as you like.
   */
  ahead?(entries: readonly SourceEntry[]): void;
  /** True if `list(entry)` needs neither wait nor read, because `ahead` was told of the directory. */
  isReadAhead?(entry: SourceEntry): boolean;
  /** True for a file whose file system may stop answering: it must be read by `openFar`, never by a thread. */
  isFar?(entry: SourceEntry): boolean;
  /**
   * Opens a far file as `openListed` does, in a process of its own, and reads its first bytes. As many such processes
   * run as files are open at once.
   * @throws SOURCE_FAILED, FILE_NOT_FOUND and kin; CANCELLED after `close`
   */
  openFar?(request: ListedRequest, sizeBytes: number): Promise<FarFile>;
  /**
   * Ends the processes that ask, and with `reason` what waits for an answer. Idempotent; to be called at the end of the
   * work.
   */
  close?(reason?: HoldfastError): void;
}

/** One file whose content comes from a stream: standard input or a command's output. */
export interface StreamSource {
  readonly kind: 'stream';
  /** Absolute path in the snapshot; its parents are made up (format 9.2, stdin). Also the snapshot record's only path. */
  readonly path: Uint8Array;
  readonly paths: readonly string[];
  /**
   * The content; can be read once. Ends normally only if the producer is known to have succeeded.
   * @throws COMMAND_FAILED, SOURCE_FAILED, CANCELLED: then there must be no snapshot
   */
  read(): AsyncIterable<Uint8Array>;
  /** Resolves when the producer has ended well. To be awaited before the snapshot is stored. @throws as `read` */
  settled(): Promise<void>;
  /** Ends the producer if it still runs. Idempotent. */
  close(): Promise<void>;
}
