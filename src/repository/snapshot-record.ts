import type { Timestamp } from '../base/timestamp.ts';
import type { Id } from './id.ts';
import type { UnknownField } from './repository-document.ts';

/** What a backup counted, as it stands in its snapshot. Sizes in bytes. Absent: not recorded. */
export interface SnapshotSummary {
  readonly backupStart?: Timestamp | undefined;
  readonly backupEnd?: Timestamp | undefined;
  readonly filesNew?: number | undefined;
  readonly filesChanged?: number | undefined;
  readonly filesUnmodified?: number | undefined;
  /** Directory counters leave the root of the snapshot out. */
  readonly dirsNew?: number | undefined;
  readonly dirsChanged?: number | undefined;
  readonly dirsUnmodified?: number | undefined;
  readonly dataBlobs?: number | undefined;
  readonly treeBlobs?: number | undefined;
  /** New blobs, not compressed. */
  readonly dataAdded?: number | undefined;
  /** New blobs as sealed, with their pack header entries. */
  readonly dataAddedPacked?: number | undefined;
  readonly totalFilesProcessed?: number | undefined;
  readonly totalBytesProcessed?: number | undefined;
  /** Fields of later versions. */
  readonly unknown?: readonly UnknownField[] | undefined;
}

/** A record of one source at one time. It never changes: editing is writing another and removing this. */
export interface Snapshot {
  /** Start of the backup, or what `--time` said; its `offsetMinutes` is the zone it was written in. */
  readonly time: Timestamp;
  readonly parent?: Id | undefined;
  /** The root tree. */
  readonly tree: Id;
  /** Absolute, in the order of the command line, duplicates kept. */
  readonly paths: readonly string[];
  readonly hostname?: string | undefined;
  readonly username?: string | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  /** Values of `--exclude` only. */
  readonly excludes?: readonly string[] | undefined;
  readonly tags?: readonly string[] | undefined;
  /** The snapshot that this was first stored as, where tags were changed or it was copied. */
  readonly original?: Id | undefined;
  readonly programVersion?: string | undefined;
  readonly summary?: SnapshotSummary | undefined;
  /** Fields of later versions or other programs; written again as they were. */
  readonly unknown?: readonly UnknownField[] | undefined;
}

/** A snapshot that is stored. */
export interface StoredSnapshot extends Snapshot {
  readonly id: Id;
}
