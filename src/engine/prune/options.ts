import type { Monitor } from '../../base/monitor.ts';
import type { Id } from '../../repository/id.ts';
import type { TransferMonitor } from '../packs/transfer.ts';
import type { UsedBlobsMonitor } from '../trees/used-blobs.ts';

/** How much unused data may stay: bytes of all that is kept in percent, a size, or any. */
export type UnusedLimit =
  | { readonly kind: 'percent'; readonly percent: number }
  | { readonly kind: 'size'; readonly sizeBytes: number }
  | { readonly kind: 'unlimited' };

/** What a prune does with packs that hold both used and unused blobs. */
export interface PrunePolicy {
  readonly maxUnused: UnusedLimit;
  /** No pack is repacked with which so many bytes would be; default: any number. */
  readonly maxRepackBytes?: number | undefined;
  /** Leave packs of file contents as they are. */
  readonly repackCacheableOnly?: boolean | undefined;
  /** Packs below this size are repacked if there are several; default: see `smallPackBytes`. */
  readonly repackSmallerThanBytes?: number | undefined;
  /** Compress what is stored plain. Packs of trees are compressed anyway. */
  readonly repackUncompressed?: boolean | undefined;
}

/** Numbers of a plan, as restic counts them. All sizes are those of sealed blobs, without the rest of their packs. */
export interface PruneStatistics {
  readonly blobs: {
    used: number;
    duplicate: number;
    unused: number;
    remove: number;
    repack: number;
    repackRemove: number;
  };
  readonly size: {
    used: number;
    duplicate: number;
    unused: number;
    remove: number;
    repack: number;
    repackRemove: number;
    unreferenced: number;
    uncompressed: number;
  };
  readonly packs: {
    used: number;
    unused: number;
    partlyUsed: number;
    unreferenced: number;
    keep: number;
    repack: number;
    remove: number;
  };
}

/** What a prune tells while it runs. */
export interface PruneMonitor extends Monitor, UsedBlobsMonitor, TransferMonitor {
  /** What is being done now, as restic calls it. */
  phase(name: string): void;
  /** How far the phase is. */
  counted(done: number, total: number, unit: string): void;
}

/** A pack file that no index file lists. */
export interface UnlistedPack {
  readonly id: Id;
  readonly sizeBytes: number;
}
