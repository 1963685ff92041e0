import type { SerializedError } from '../../base/serialized-errors.ts';
import type { FileStatus } from '../../platform/status.ts';
import type { ListedRequest } from '../open-listed.ts';
import type { ExtendedAttribute, FarPart } from '../source.ts';

/** What a process that reads far file systems is asked, and what it answers. */
export interface FarCalls {
  /** The entry itself and what it leads to, if it is there. */
  status(request: { readonly path: Uint8Array }): FileStatus | undefined;
  /** Opens a directory, which stays open until another is, and lists it. */
  list(request: { readonly path: Uint8Array; readonly noFollow: boolean }): FarListing;
  /** Entries of the directory that is open, with all that a listing tells of them. */
  entries(request: { readonly names: readonly Uint8Array[] }): readonly FarEntry[];
  /** The first bytes of a regular file in the directory that is open. */
  start(request: { readonly name: Uint8Array; readonly sizeBytes: number }): Uint8Array;
  /** Opens a file, which stays open until another is, and reads its first bytes. */
  open(request: { readonly file: ListedRequest; readonly sizeBytes: number }): FarOpened;
  read(request: { readonly position: number; readonly sizeBytes: number }): FarPart;
  attributes(request: Record<string, never>): readonly ExtendedAttribute[];
}

/** The name of a call. */
export type FarCall = keyof FarCalls;
/** What a call is given. */
export type FarRequest<C extends FarCall> = Parameters<FarCalls[C]>[0];
/** What a call gives back. */
export type FarAnswer<C extends FarCall> = ReturnType<FarCalls[C]>;

/** A directory that was opened, and the names in it. */
export interface FarListing {
  /** Of the opened directory. */
  readonly status: FileStatus;
  /** In the file system's order. */
  readonly names: readonly Uint8Array<ArrayBuffer>[];
}

/** One entry; everything but the name is absent if it has vanished. */
export interface FarEntry {
  readonly name: Uint8Array<ArrayBuffer>;
  readonly status?: FileStatus | { readonly error: SerializedError };
  readonly linkTarget?: Uint8Array | { readonly error: SerializedError };
  readonly extendedAttributes?: readonly ExtendedAttribute[];
  /** Attributes that could not be read. */
  readonly attributeErrors?: readonly SerializedError[];
}

/** The first bytes of a file that was opened. */
export interface FarOpened extends FarPart {
  /** The status before anything was read. */
  readonly opened: FileStatus;
}

/** Requests are answered one by one, in order. */
export interface FarQuestion {
  readonly call: FarCall;
  readonly request: FarRequest<FarCall>;
}

/** How a call ended: with its answer, or with an error. */
export type FarReply = FarValue | { readonly error: SerializedError };

/** The answer of a call that went well. */
export interface FarValue {
  readonly value: FarAnswer<FarCall>;
  /**
   * So many bytes, sent through `contentFile`, are the value's `bytes`. Measured: 1 GB/s, where a message carries 240
   * MB/s.
   */
  readonly contentBytes?: number;
}

/** The descriptor through which the process sends contents of files. */
export const contentFile = 3;
