import type { Timestamp } from '../../base/timestamp.ts';
import type { SealKey } from '../../kernels/seal.ts';
import type { SerializedError } from '../../base/serialized-errors.ts';
import type { BlobIndexShare } from '../../repository/blob-index.ts';
import type { PackContent } from '../packs/pack-content.ts';

/** What a restore thread is started with; index and `stop` are shared memory. */
export interface RestoreWorkerData {
  readonly index: BlobIndexShare;
  readonly masterKey: SealKey;
  /** Its first number is not 0 once nobody wants the work any more: looked at amid a message. */
  readonly stop: Int32Array<SharedArrayBuffer>;
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
  /** Made by the message that brings all its blobs, and finished by it. */
  | 'whole'
  /** Made before under its temporary name, written by several messages, finished by a later one. */
  | 'parts'
  /**
   * A file that was there before, of which only what differs is written. It has a temporary name of its own meanwhile,
   * which it keeps if that fails: it may be the only copy of what it holds.
   */
  | 'update';

/** What becomes of long runs of zeros. */
export type Zeros =
  | 'written'
  /** Left out of a file that is new: it has a hole there already. */
  | 'skipped'
  /** Cut out of a file that may hold other bytes there. */
  | 'punched';

/** One file to be written; `file` numbers are the sender's. Descriptors belong to the whole process. */
export interface FileTask {
  readonly file: number;
  readonly directory: number;
  readonly name: Uint8Array;
  /** For the temporary name. */
  readonly salt: number;
  readonly sizeBytes: number;
  readonly mode: WriteMode;
  readonly zeros: Zeros;
  /** Something has its name and may be replaced; else the name must be free. */
  readonly replaces: boolean;
  /** How many names an existing file that stays may have: those that were found in the target. */
  readonly linkCount: number;
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
  readonly content: PackContent;
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
    /** Ids of the blobs, 32 bytes each. */
    readonly content: Uint8Array;
  }[];
}

/** What a restore thread is asked; each request has one answer, after its events. */
export type RestoreRequest = PackPart | PlainWrite | FinishFiles | SetMetadata | CompareFiles;

/** What could not be done for one file. */
export interface FileFailure {
  readonly file: number;
  /** The content is not there: the file was not put in place. Else only metadata is missing. */
  readonly fatal: boolean;
  readonly error: SerializedError;
}

/** Answers all requests that write. */
export interface WriteResponse {
  readonly type: 'written';
  readonly failures: readonly FileFailure[];
  /** Blobs that could not be opened from this copy: index entries. */
  readonly damagedEntries: readonly number[];
  /** Without what events told. */
  readonly bytesWritten: number;
  /** Files of mode `update` that something was written into, or nearly so. */
  readonly changed: readonly number[];
}

/** How one file agrees with what it should hold. */
export interface ComparedFile {
  /** One byte a blob: 1 if it is there; empty if the file is not a regular one that can be read. */
  readonly matches: Uint8Array;
  /** Nothing is missing, different or too much. */
  readonly isWhole: boolean;
  readonly canBeRead: boolean;
}

/** Answers `CompareFiles`. */
export interface CompareResponse {
  readonly type: 'compared';
  /** In the order of the request. */
  readonly files: readonly ComparedFile[];
}

/** The thread could not read its part of a pack; nothing was written. */
export interface UnreadResponse {
  readonly type: 'unread';
}

/** What a restore thread answers. */
export type RestoreResponse = WriteResponse | CompareResponse | UnreadResponse;

/** What a thread says while it works on one message. */
export interface RestoreEvent {
  /** Written since it last said so. */
  readonly bytesWritten: number;
}
