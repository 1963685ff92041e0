import type { SealKey } from '../kernels/seal.ts';
import type { Id } from './id.ts';
import type { Snapshot } from './snapshot-codec.ts';

/** What the threads that read snapshots are given at their start. */
export interface SnapshotWorkerData {
  readonly masterKey: SealKey;
  readonly version: 1 | 2;
  /** Folder with the files of all snapshots. */
  readonly folder: string;
}

/** Read, verify, open and decode these. */
export interface SnapshotRequest {
  readonly type: 'snapshots';
  readonly ids: readonly Id[];
}

/** In the order of the request; undefined for one that could not be had. */
export type SnapshotResponse = readonly (Snapshot | undefined)[];
