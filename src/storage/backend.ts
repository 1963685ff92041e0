import { isHoldfastError } from '../base/errors.ts';

/**
 * What a repository file is for; decides its folder. Every type is content-addressed but `config` and `parity`, which is
 * named after the pack that it belongs to, and which other programs do not know.
 */
export type FileType = 'config' | 'key' | 'lock' | 'snapshot' | 'index' | 'pack' | 'parity';

/** All file types, in the order in which a new repository gets them. */
export const fileTypes: readonly FileType[] = [
  'config',
  'key',
  'lock',
  'snapshot',
  'index',
  'pack',
  'parity',
];

/** Types of files that may be replaced: a pack only by what its name says. */
export const replaceableTypes: readonly FileType[] = ['config', 'pack', 'parity'];

/** Names one file of a repository. */
export interface FileHandle {
  readonly type: FileType;
  /** 64 lower-case hex digits; empty for `config`. */
  readonly name: string;
  /** The pack holds trees, not file data, so that a cache may keep it. Says nothing for other types. */
  readonly holdsTrees?: boolean;
}

/** Bytes `[start, end)` of a file, 0-based. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** What every call of a storage takes. */
export interface CallOptions {
  /** Ends the call with CANCELLED, as soon as its storage can. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Of a change: asked each time right before the storage is touched, also when a call is tried again after a pause.
   * Undefined: go on. A promise: wait for it, then ask again; if it rejects, the change is not made.
   */
  readonly admit?: (() => Promise<void> | undefined) | undefined;
}

/** How a file is read. */
export interface GetOptions extends CallOptions {
  /** Do not answer from a cache, and renew what is in it: for the second try after damaged bytes. */
  readonly fresh?: boolean;
  /** Do not answer from a cache, nor keep the answer: for a look at what is stored. */
  readonly direct?: boolean;
}

/** How a file is stored. */
export interface PutOptions extends CallOptions {
  /** Replace an existing file, atomically where the storage can. Only for `replaceableTypes`. */
  readonly replace?: boolean;
  /**
   * Called before the call returns if the storage answered with a checksum of the file as it has it, and that is right: then it
   * need not be asked whether the file is there. Storage that says no such thing never calls it.
   */
  readonly onChecked?: (() => void) | undefined;
}

/**
 * Largest file of each type that is read as a whole; what is larger is no such file. Anybody who can write to the
 * storage can put a file of terabytes there, which as a hole costs him nothing.
 */
export const wholeFileSizeBytesMax: Readonly<Record<FileType, number>> = {
  config: 1 << 20,
  key: 1 << 20,
  lock: 4 << 20,
  snapshot: 160 << 20,
  index: 640 << 20,
  pack: 2 ** 32 + (32 << 20),
  parity: 2 ** 32 + 2 ** 28,
};

/** A file of a storage: its name, without folder, and its size in bytes. */
export interface FileStat {
  readonly name: string;
  readonly sizeBytes: number;
}

/** On what terms files are brought back from an archive. */
export interface ThawTerms {
  /** How fast, as the storage names it: `Bulk`. */
  readonly tier: string;
  /** For how long they can be read then. */
  readonly days: number;
  /** Longest wait for them. */
  readonly waitMsMax: number;
}

const thawPauseMsMin = 60_000;
const thawPauseMsMax = 15 * 60_000;

/** How long to wait before it is asked again whether a file is back: a tenth of the time so far, 1 to 15 min. */
export function thawPauseMs(waitedMs: number): number {
  return Math.min(Math.max(thawPauseMsMin, waitedMs / 10), thawPauseMsMax);
}

/** A file that stands in an archive and was asked for, by this call or before. */
export interface ThawingFile {
  /** As the storage names it: `DEEP_ARCHIVE`. */
  readonly storageClass: string;
  /** This call asked for it. */
  readonly isNew: boolean;
  /** Longest time from asking to reading that those who run such archives name; undefined: nobody does. */
  readonly expectedMs: number | undefined;
}

/**
 * Byte store of one repository: the narrow interface that every kind of storage implements, and that the decorators
 * (retry, limit, bandwidth, cache, record, fault) wrap. Knows names and bytes, nothing of the format.
 *
 * All calls may run concurrently. Every call may throw BACKEND_UNAVAILABLE (retry: later), PERMISSION_DENIED and
 * CANCELLED besides what it lists.
 */
export interface Backend {
  /** Where it is, for people: secrets removed. */
  readonly location: string;
  /** Number of calls worth running at once. */
  readonly connectionCount: number;
  /** Root folder, when files can be opened directly below it in the default layout. */
  readonly localPath?: string | undefined;
  /**
   * True if a listing has all files that were there at one instant after it began, whoever stored them, as on a disk of this
   * machine: who replaces a file by another, and so has one at each instant, is seen. Absent or false where listings may be
   * behind, or where it is not known.
   */
  readonly listsAtOnce?: boolean;

  /** Makes the folders of an empty repository. Idempotent; does not look whether there is a repository. */
  create(options?: CallOptions): Promise<void>;

  /**
   * Stores a file: whole, durable, and visible under its name only when complete. After an error either nothing is
   * visible or (storage that answers late) exactly these bytes.
   *
   * @param parts the content in order; not changed, and not to be changed by the caller until the call returns
   * @throws FILE_EXISTS (the existing file is untouched), STORAGE_FULL, READ_ONLY, BACKEND_WRITE_FAILED (retry: later)
   */
  put(handle: FileHandle, parts: readonly Uint8Array[], options?: PutOptions): Promise<void>;

  /**
   * Reads a file or a range of it. May be repeated.
   *
   * @returns exactly the file, or exactly `end - start` bytes; at offset 0 of a buffer of its own, owned by the caller
   * @throws FILE_NOT_FOUND, RANGE_NOT_SATISFIABLE (the file ends before `range.end`), BACKEND_READ_FAILED (retry: later);
   *   UNPACKED_DAMAGED without a range, for a file beyond `wholeFileSizeBytesMax`, before memory is taken for it
   */
  get(
    handle: FileHandle,
    range?: ByteRange,
    options?: GetOptions,
  ): Promise<Uint8Array<ArrayBuffer>>;

  /** @throws FILE_NOT_FOUND, BACKEND_READ_FAILED (retry: later) */
  stat(handle: FileHandle, options?: CallOptions): Promise<FileStat>;

  /**
   * Lists the files of one type, in no order, each once. Complete or throws. Names that are not of 64 hex digits are
   * left out; a missing folder is empty. Files put or removed meanwhile may be listed or not.
   *
   * @throws BACKEND_READ_FAILED (retry: later)
   */
  list(type: FileType, options?: CallOptions): AsyncIterable<FileStat>;

  /**
   * Removes a file. Durable on return for every type but packs and locks, so that what refers to a pack is gone for
   * good before the pack is; those two may be back after a power cut.
   *
   * @throws FILE_NOT_FOUND, READ_ONLY, BACKEND_WRITE_FAILED (retry: later)
   */
  remove(handle: FileHandle, options?: CallOptions): Promise<void>;

  /**
   * Removes several files of one type in less time than `remove` for each: what makes the removals durable is done once.
   * `admit` is asked before each. Absent where that gains nothing.
   *
   * @returns those that were there and are gone, as by `remove`; of the others nothing is known, and `remove` tells why
   */
  removeSeveral?(
    type: FileType,
    names: readonly string[],
    options?: CallOptions,
  ): Promise<readonly string[]>;

  /** Present if files may stand in an archive and are to be brought back from there: then `thaw` is there, too. */
  readonly thawing?: ThawTerms | undefined;

  /**
   * Asks for a file that stands in an archive to be brought back, unless somebody has. Does not wait for it. May be repeated.
   *
   * @returns undefined if it can be read now
   * @throws FILE_NOT_FOUND, UNSUPPORTED (the archive has no such tier), BACKEND_READ_FAILED (retry: later)
   */
  thaw?(handle: FileHandle, options?: CallOptions): Promise<ThawingFile | undefined>;

  /**
   * Removes what interrupted puts left behind and nobody can be writing any more (24 h old).
   * Absent where a storage leaves nothing.
   *
   * @returns number of removed files
   */
  removeLeftovers?(options?: CallOptions): Promise<number>;

  /** Ends connections. Running calls may fail; no further calls. Idempotent. */
  close(): Promise<void>;
}

const namePattern = /^[0-9a-f]{64}$/;

/** True for the name of a content-addressed file: 64 lower-case hex digits. */
export function isFileName(name: string): boolean {
  return namePattern.test(name);
}

/** A handle for messages: `pack 0123456789`, `config`. */
export function describeHandle(handle: FileHandle): string {
  return handle.type === 'config' ? 'config' : `${handle.type} ${handle.name.slice(0, 10)}`;
}

/** The content of a file, as `Backend.get`; undefined if it is not there. */
export async function getIfThere(
  backend: Pick<Backend, 'get'>,
  handle: FileHandle,
  options?: GetOptions,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    return await backend.get(handle, undefined, options);
  } catch (error) {
    if (isHoldfastError(error, 'FILE_NOT_FOUND')) return undefined;
    throw error;
  }
}
