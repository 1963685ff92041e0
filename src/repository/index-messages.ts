import type { SealKey } from '../kernels/seal.ts';
import type { BlobIndexShare } from './blob-index.ts';
import type { Id } from './id.ts';

/** What the threads that decode index files are given at their start. */
export interface IndexWorkerData {
  readonly masterKey: SealKey;
  readonly share: BlobIndexShare;
  readonly version: 1 | 2;
}

/** Check, open and decode one index file. */
export interface IndexRequest {
  readonly type: 'decode';
  readonly name: Id;
  /** As stored; transferred. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** It is in the index, or its bytes do not have the hash that it is named after. */
export type IndexResponse =
  | { readonly type: 'decoded'; readonly hasMarks: boolean }
  | { readonly type: 'mismatch' };
