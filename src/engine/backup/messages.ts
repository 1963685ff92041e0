import type { SealKey } from '../../kernels/seal.ts';
import type { CompressionMode } from '../../kernels/zstd.ts';
import type { SerializedError } from '../../base/serialized-errors.ts';
import type { BlobIndexShare } from '../../repository/blob-index.ts';
import type { PackSlotsShare } from '../packs/pack-slots.ts';
import type { NewStatus } from './new-status.ts';
import type { AddedData } from '../packs/chunk-sink.ts';

/** What a backup worker is started with. */
export interface BackupWorkerData {
  readonly index: BlobIndexShare;
  readonly masterKey: SealKey;
  readonly version: 1 | 2;
  readonly compression: CompressionMode;
  readonly packSizeBytes: number;
  /** Hex of the chunker polynomial. */
  readonly polynomial: string;
  /** Memory for packs. */
  readonly slots: PackSlotsShare;
}

/** Numbers kept a file in `FileBatch.stats`, in this order. */
export const fileStatFields = {
  size: 0,
  mtimeSeconds: 1,
  mtimeNanoseconds: 2,
  ctimeSeconds: 3,
  ctimeNanoseconds: 4,
} as const;
/** Numbers of one file in `FileBatch.stats`: as many as `fileStatFields` has. */
export const fileStatStride = 5;
/** Numbers kept a file in `FileBatch.identities`. */
export const identityStride = 4;

/** Files for one worker, as columns: a message of plain arrays is many times cheaper than objects. */
export interface FileBatch {
  readonly type: 'files';
  /** All paths one after the other. */
  readonly paths: Uint8Array<ArrayBuffer>;
  /** End of each path in `paths`. */
  readonly pathEnds: Uint32Array<ArrayBuffer>;
  /** `fileStatStride` numbers a file: what the listing said. */
  readonly stats: Float64Array<ArrayBuffer>;
  /**
   * Inode and device of each file and of its directory; inode 0 where the directory is not known. Numbers, unless one of
   * them is not exact as such.
   */
  readonly identities: Float64Array<ArrayBuffer> | BigUint64Array<ArrayBuffer>;
}

/** Trees to be stored, each whole; answered by `TreesResponse`. */
export interface TreeBatch {
  readonly type: 'trees';
  /** Encoded trees, all claimed by the sender. */
  readonly trees: readonly ClaimedBlob[];
}

/** The next bytes of a tree too large for one message; all of one tree go to one worker, in order. */
export interface TreePiece {
  readonly type: 'tree-piece';
  /** Number of the tree, for the time it is on its way. */
  readonly tree: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Ends such a tree. */
export interface TreeEnd {
  readonly type: 'tree-end';
  readonly tree: number;
  readonly id: Uint8Array;
  /** The entry that the sender has claimed for it; -1 if it is known, and to be dropped. */
  readonly entry: number;
}

/**
 * A blob that the sender has entered into the shared index as pending (`entry`), so that nobody else stores it. `id`
 * has 32 bytes, `bytes` are the plain content.
 */
export interface ClaimedBlob {
  readonly id: Uint8Array;
  readonly entry: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Looks for places to cut in one span of a large file. */
export interface SpanScan {
  readonly type: 'scan';
  readonly fd: number;
  readonly start: number;
  readonly end: number;
}

/** Stores chunks of a large file; `ends` are absolute offsets, the first chunk starts at `start`. */
export interface ChunkStore {
  readonly type: 'store';
  readonly fd: number;
  readonly start: number;
  readonly ends: Float64Array<ArrayBuffer>;
}

/** The next bytes of a stream; all of one stream go to one worker, in order, and no other stream meanwhile. */
export interface StreamPart {
  readonly type: 'stream';
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What is left of a stream before, which did not reach its end, is forgotten. */
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/** Hands over what is packed but not full. */
export interface Flush {
  readonly type: 'flush';
}

/** What a backup worker is asked. Each request has one answer; packs that become full on the way are events. */
export type BackupRequest =
  | FileBatch
  | TreeBatch
  | TreePiece
  | TreeEnd
  | SpanScan
  | ChunkStore
  | StreamPart
  | Flush;

/** How reading one file ended. */
export const fileOutcome = { stored: 0, changing: 1, failed: 2, moved: 3 } as const;

/** Answers `FileBatch`: columns with one value a file, in the order of the batch. */
export interface FilesResponse {
  readonly type: 'files';
  /** Ids of all chunks of all files, 32 bytes each. */
  readonly ids: Uint8Array<ArrayBuffer>;
  /** Chunks of each file. */
  readonly chunkCounts: Uint32Array<ArrayBuffer>;
  /** Bytes read of each file. */
  readonly sizes: Float64Array<ArrayBuffer>;
  /** A `fileOutcome` of each file. */
  readonly outcomes: Uint8Array<ArrayBuffer>;
  /** Status or error of the files whose outcome is not `stored` as listed. */
  readonly extras: readonly FileExtra[];
  readonly added: AddedData;
  /** For each file: bytes of new blobs, and what they take when stored. */
  readonly addedByFile: Float64Array<ArrayBuffer>;
}

/** What does not fit a column: for the file at `index` of the batch, its status when it was read, or why it failed. */
export interface FileExtra {
  readonly index: number;
  readonly now?: NewStatus;
  readonly error?: SerializedError;
}

/**
 * Answers `TreeBatch`, and without sizes `TreePiece` and `TreeEnd`. `storedBytes` has a value for each tree of the
 * batch, in its order.
 */
export interface TreesResponse {
  readonly type: 'trees';
  /** What each tree takes. */
  readonly storedBytes: Float64Array<ArrayBuffer>;
  readonly added: AddedData;
}

/** Answers `SpanScan`. All numbers are offsets in the file, in bytes. */
export interface ScanResponse {
  readonly type: 'scan';
  /** Pairs [from, to]: every position in it was looked at. */
  readonly covered: Float64Array<ArrayBuffer>;
  /** Places where a cut may fall, ascending. */
  readonly candidates: Float64Array<ArrayBuffer>;
}

/**
 * Answers `ChunkStore` and `StreamPart`: ids of the chunks cut, 32 bytes each, in the order of the content, and how
 * many bytes of it were taken. The last bytes of a stream's part may become a chunk with the next part only.
 */
export interface ChunksResponse {
  readonly type: 'chunks';
  readonly ids: Uint8Array<ArrayBuffer>;
  readonly sizeBytes: number;
  readonly added: AddedData;
}

/** Answers `Flush`: what was packed has been handed over, as events before this. */
export interface FlushResponse {
  readonly type: 'flush';
}

/** What a backup worker answers; the type follows from the request's. */
export type BackupResponse =
  | FilesResponse
  | TreesResponse
  | ScanResponse
  | ChunksResponse
  | FlushResponse;
