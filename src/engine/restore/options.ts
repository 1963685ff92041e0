import type { EntrySelect } from '../trees/entry-select.ts';
import type { Monitor, Problem, Progress } from '../../base/monitor.ts';

/** What happens to a file that exists in the target. */
export type Overwrite = 'always' | 'if-changed' | 'if-newer' | 'never';

/** What is restored, what may be replaced or removed, and how it is proven. */
export interface RestoreOptions {
  /** Folder of the snapshot to restore, such as `home/anna`; the whole snapshot if absent. */
  readonly subfolder?: string | undefined;
  /** Absent: everything. */
  readonly select?: EntrySelect | undefined;
  readonly overwrite: Overwrite;
  /**
   * Remove what the snapshot does not have, as far as it is selected; never what is mounted below the
   * target. Needed too for something else to take the place of a directory that is not empty.
   */
  readonly delete?: boolean;
  /** Leave runs of zeros as holes. */
  readonly sparse?: boolean;
  readonly dryRun?: boolean;
  /** Read everything back and compare, once it is written. */
  readonly verify?: boolean;
  /** Look owners up by name on this machine instead of taking their numbers. */
  readonly ownershipByName?: boolean;
  /** Which extended attributes are restored; all if absent. */
  readonly selectAttribute?: (name: string) => boolean;
  readonly workerCount?: number;
}

/** One item as it is done. */
export interface RestoreItem {
  readonly action: 'restored' | 'updated' | 'unchanged' | 'deleted';
  /** Below the target, starting with `/`. */
  readonly path: Uint8Array;
  readonly isDirectory: boolean;
  readonly sizeBytes: number;
}

/** The totals leave out what is skipped. */
export interface RestoreProgress extends Progress {
  readonly filesSkipped: number;
  readonly bytesSkipped: number;
  readonly filesDeleted: number;
}

/** Hears how a restore goes. */
export interface RestoreMonitor extends Monitor {
  progress(progress: RestoreProgress): void;
  /** A file was restored with setuid or setgid. */
  privileged?(path: Uint8Array): void;
  /** Set only where somebody listens. */
  readonly item?: (item: RestoreItem) => void;
}

/** What a restore did; sizes in bytes. It is complete only if `problemCount` is 0. */
export interface RestoreResult {
  /** Files, links, devices and directories to restore: those selected, without those skipped. */
  readonly filesTotal: number;
  /** Of them, those that are as in the snapshot now. */
  readonly filesRestored: number;
  /** Left as they are: right already, or kept by `overwrite`. */
  readonly filesSkipped: number;
  readonly filesDeleted: number;
  readonly bytesTotal: number;
  /** Bytes written into files. */
  readonly bytesRestored: number;
  readonly bytesSkipped: number;
  /** Files read back and found right; only with `verify`. */
  readonly filesVerified: number;
  /** Files that have setuid or setgid now. */
  readonly privilegedFiles: number;
  /** Everything that is not as in the snapshot now: the first of `problemCount`. */
  readonly problems: readonly Problem[];
  /** A restore with problems must not be called a success. */
  readonly problemCount: number;
  readonly totalDurationMs: number;
}
