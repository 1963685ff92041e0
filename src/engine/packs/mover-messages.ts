import type { SealKey } from '../../kernels/seal.ts';
import type { CompressionMode } from '../../kernels/zstd.ts';
import type { BlobType } from '../../repository/blob.ts';
import type { BlobIndexShare } from '../../repository/blob-index.ts';
import type { PackSlotsShare } from './pack-slots.ts';
import type { PackContent } from './pack-content.ts';
import type { AddedData } from './chunk-sink.ts';

/** How blobs are stored anew: what one thread needs to know. */
export interface MoveSettings {
  readonly sourceKey: SealKey;
  readonly targetKey: SealKey;
  readonly version: 1 | 2;
  readonly compression: CompressionMode;
  readonly packSizeBytes: number;
  /** Both are one repository: what is sealed may be taken as it is. */
  readonly isSame: boolean;
  /** Store also what the target has. */
  readonly again: boolean;
}

/** What a thread that stores blobs anew is started with; indexes and slots are shared memory. */
export interface TransferWorkerData {
  readonly source: BlobIndexShare;
  /** The same as `source` if both are one repository. */
  readonly target: BlobIndexShare;
  readonly slots: PackSlotsShare;
  readonly settings: MoveSettings;
}

/** Stores blobs of a part of a pack. */
export interface SealedBlobs {
  readonly type: 'sealed';
  /** Entries of the source's index, by their offsets. */
  readonly entries: Int32Array<ArrayBuffer>;
  readonly content: PackContent;
}

/** Stores a blob that was read another way and proven. */
export interface PlainBlob {
  readonly type: 'plain';
  readonly blobType: BlobType;
  readonly id: Uint8Array;
  readonly bytes: Uint8Array;
}

/** Hands over what is packed but not full. */
export interface Flush {
  readonly type: 'flush';
}

/** What such a thread is asked; each request is answered by a `MoveResponse`. */
export type MoveRequest = SealedBlobs | PlainBlob | Flush;

/** What was stored since the last answer. */
export interface MoveResponse {
  readonly added: AddedData;
  /** Entries that could not be read or opened: they were not stored. */
  readonly damaged: Int32Array<ArrayBuffer>;
}
