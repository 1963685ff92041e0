import type { Id } from '../../repository/id.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { AffectedFile } from '../trees/affected-files.ts';

/** Which packs are read whole. */
export type ReadData =
  | { readonly kind: 'all' }
  /** Packs whose first id byte modulo `total` is `part - 1`. */
  | { readonly kind: 'part'; readonly part: number; readonly total: number }
  /** A random choice of this share of all packs. */
  | { readonly kind: 'percent'; readonly percent: number }
  /** A random choice of packs of about this many bytes in all. */
  | { readonly kind: 'size'; readonly sizeBytes: number };

/** How much a check reads, and how much it names. */
export interface CheckOptions {
  /** Absent: structure only. */
  readonly readData?: ReadData;
  /** Which snapshots are followed, and their packs read; absent: all. Others are still loaded. */
  readonly selectSnapshot?: (snapshot: StoredSnapshot) => boolean;
  /** Affected paths that are named; default 100,000. */
  readonly affectedFilesMax?: number;
}

/** What a check found: nothing that was read is damaged if `errorCount` is 0. */
export interface CheckResult {
  /** Everything that is damaged, one line each, in the order found: the first of `errorCount`. */
  readonly errors: readonly string[];
  readonly errorCount: number;
  /** What is no damage: packs without index, mixed packs, packs in several indexes. */
  readonly hints: readonly string[];
  /** Packs that are missing or damaged. */
  readonly brokenPacks: readonly Id[];
  /** Those of them that their parity heals. */
  readonly healablePacks: readonly Id[];
  readonly suggestRepairIndex: boolean;
  readonly suggestPrune: boolean;
  /** Files and directories of snapshots that the damage reaches, by snapshot and path. */
  readonly affectedFiles: readonly AffectedFile[];
  /** There are more of them than are named. */
  readonly hasMoreAffectedFiles: boolean;
  /** All snapshots that the damage reaches, also those that are unreadable themselves. */
  readonly affectedSnapshots: readonly Id[];
  /** Snapshots that were followed. */
  readonly snapshotCount: number;
  readonly packsRead: number;
  readonly bytesRead: number;
}
