import type { Timestamp } from '../../base/timestamp.ts';
import type { SealKey } from '../../kernels/seal.ts';
import type { SerializedError } from '../../kernels/worker-errors.ts';
import type { BlobIndexShare } from '../../repository/blob-index.ts';

export interface RestoreWorkerData {
  readonly index: BlobIndexShare;
  readonly masterKey: SealKey;
}

/** What a file, directory or link gets besides content. */
export interface Metadata {
  /** Permissions with setuid, setgid, sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timestamp;
  readonly atime: Timestamp;
  readonly attributes: readonly { readonly name: Uint8Array; readonly value: Uint8Array }[];
  /** Attributes that are there but not in `attributes` are looked for and removed. */
  readonly clearsAttributes: boolean;
}

/** How a file comes to its content. */
export type WriteMode =
  /** Into a new file under a temporary name, which then takes the place. */
  | 'replace'
  /** Into the existing file, only what differs. */
  | 'in-place';

/** One file to be written; `file` numbers are the sender's. Descriptors belong to the whole process. */
export interface FileTask {
  readonly file: number;
  readonly directory: number;
  readonly name: Uint8Array;
  readonly sizeBytes: number;
  readonly mode: WriteMode;
  readonly sparse: boolean;
  /** The blobs of a message are all it has: the file is finished at once. */
  readonly isWhole: boolean;
  readonly metadata: Metadata;
}

/** Where the bytes of one blob go. */
export interface BlobTarget {
  /** Index into `tasks` of the message. */
  readonly task: number;
  readonly offset: number;
}

/** Part of a pack, and the blobs in it that are wanted. */
export interface PackPart {
  readonly type: 'part';
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Offset of `bytes` in the pack. */
  readonly start: number;
  readonly tasks: readonly FileTask[];
  /** Index entries of the blobs, with the targets of each. */
  readonly blobs: readonly { readonly entry: number; readonly targets: readonly BlobTarget[] }[];
}

/** Writes plain bytes that were found another way. */
export interface PlainWrite {
  readonly type: 'plain';
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly task: FileTask;
  readonly offset: number;
}

/** Gives files their metadata and their place, once all content is there. */
export interface FinishFiles {
  readonly type: 'finish';
  readonly tasks: readonly FileTask[];
}

/** Gives files metadata whose content is right already. */
export interface SetMetadata {
  readonly type: 'metadata';
  readonly tasks: readonly FileTask[];
}

/** Compares files that exist with what they should hold. */
export interface CompareFiles {
  readonly type: 'compare';
  readonly files: readonly {
    readonly directory: number;
    readonly name: Uint8Array;
    readonly sizeBytes: number;
    /** Ids of the blobs, 32 bytes each. */
    readonly content: Uint8Array;
  }[];
}

export type RestoreRequest = PackPart | PlainWrite | FinishFiles | SetMetadata | CompareFiles;

/** What could not be done for one file. */
export interface FileFailure {
  readonly file: number;
  /** The content is not there: the file was not put in place. Else only metadata is missing. */
  readonly fatal: boolean;
  readonly error: SerializedError;
}

export interface WriteResponse {
  readonly type: 'written';
  readonly failures: readonly FileFailure[];
  /** Blobs that could not be opened from this copy: index entries. */
  readonly damagedEntries: readonly number[];
  readonly bytesWritten: number;
}

export interface CompareResponse {
  readonly type: 'compared';
  /** Of each file: one byte a blob, 1 if it is as it should be; empty if the file could not be read. */
  readonly matches: readonly Uint8Array[];
  /** Of each file: its size is right too. */
  readonly sizesMatch: readonly boolean[];
}

export type RestoreResponse = WriteResponse | CompareResponse;
