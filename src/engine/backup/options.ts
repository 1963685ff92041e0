import type { Monitor, Problem, Progress } from '../../base/monitor.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import type { Id } from '../../repository/id.ts';
import type { SnapshotSummary } from '../../repository/snapshots.ts';
import type { GroupBy } from '../snapshot-groups.ts';

/** What a backup records, what it compares with, and how it reads. */
export interface BackupOptions {
  readonly hostname: string;
  readonly username: string;
  readonly uid: number;
  readonly gid: number;
  /** Recorded in the snapshot, such as `holdfast 0.1.0`. */
  readonly programVersion: string;
  /** Time of the snapshot; the start of the backup if absent. */
  readonly time?: Timestamp;
  readonly tags: readonly string[];
  /** Id or prefix of the parent, or `latest`. */
  readonly parent?: string;
  /** Read every file again. */
  readonly force?: boolean;
  /** What a parent snapshot must share with the new one. */
  readonly groupBy: GroupBy;
  readonly ignoreInode?: boolean;
  readonly ignoreCtime?: boolean;
  readonly withAtime?: boolean;
  /**
   * Store the number of the device for hard links only, which it tells apart: it changes with every btrfs snapshot that
   * is backed up, and with it every tree. Restic's feature `device-id-for-hardlinks`.
   */
  readonly deviceOfHardLinksOnly?: boolean;
  readonly skipIfUnchanged?: boolean;
  readonly dryRun?: boolean;
  /** Threads that read and store; by default one a core, at least 2. */
  readonly workerCount?: number;
}

/** One regular file or directory of the source as it is done, for verbose output. */
export interface BackupItem {
  readonly action: 'new' | 'unchanged' | 'modified';
  /** In the snapshot. */
  readonly path: Uint8Array;
  /** How long it took to store it, 0 if it is unchanged; of a directory with all below it. */
  readonly durationMs: number;
  readonly isDirectory: boolean;
  /** Bytes of new data blobs, and what they take in the repository. */
  readonly dataSizeBytes: number;
  readonly dataStoredBytes: number;
  readonly metadataSizeBytes: number;
  readonly metadataStoredBytes: number;
}

/** Hears how a backup goes. */
export interface BackupMonitor extends Monitor {
  /** Hears before anything is read which snapshot unchanged files are recognised by, if any. */
  parent?(snapshot: Id | undefined): void;
  /** Numbers so far; called often, so it must be cheap. */
  progress(progress: Progress): void;
  /** Set only where somebody listens: a call for every entry costs. */
  readonly item?: (item: BackupItem) => void;
}

/** What a backup has done; times in milliseconds. Whether it is complete is told by `problems`. */
export interface BackupResult {
  /** Absent if no snapshot was written (nothing changed). In a dry run the id it would have had. */
  readonly snapshotId?: Id;
  readonly treeId: Id;
  readonly parentId?: Id;
  readonly dryRun: boolean;
  readonly summary: SnapshotSummary;
  readonly totalDurationMs: number;
  /**
   * Everything that was not stored exactly as read. Empty: the snapshot is complete. Damage of the repository that was
   * met on the way is not in it: only the monitor hears that.
   */
  readonly problems: readonly Problem[];
}
