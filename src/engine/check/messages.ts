import type { SealKey } from '../../kernels/seal.ts';
import type { BlobIndexShare } from '../../repository/blob-index.ts';
import type { PackContent } from '../packs/pack-content.ts';

/** What a thread that checks packs is started with; index and columns are shared memory. */
export interface CheckWorkerData {
  readonly index: BlobIndexShare;
  readonly masterKey: SealKey;
  /** All entries of the index, ordered by pack and then by offset: Int32. */
  readonly entriesByPack: SharedArrayBuffer;
  /** Where the entries of each pack start in `entriesByPack`, and one more: Int32. */
  readonly packStarts: SharedArrayBuffer;
}

/** Reads one whole pack. */
export interface PackCheck {
  readonly type: 'pack';
  readonly pack: number;
  readonly content: PackContent;
}

/** Answers `PackCheck` for a pack that could be read. */
export interface PackFindings {
  readonly type: 'pack';
  /** What is wrong with the pack as a file; empty if nothing. */
  readonly errors: readonly string[];
  /** Index entries of the blobs that cannot be restored from this copy. */
  readonly damagedEntries: readonly number[];
}

/** The thread could not read the file of the pack. */
export interface PackUnread {
  readonly type: 'unread';
}
