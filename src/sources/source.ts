import type { HoldfastError } from '../base/errors.ts';
import type { FileStatus } from '../platform/status.ts';

export { type OpenRequest, openRequestOf, openSourceFile, type OpenedFile } from './open-file.ts';

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
