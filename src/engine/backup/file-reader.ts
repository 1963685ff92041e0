import { equalBytes } from '../../base/bytes.ts';
import { endsWork } from '../../base/errors.ts';
import { type ChunkScanner, chunkSizeBytesMin } from '../../kernels/chunker.ts';
import { readExtendedAttributes } from '../../platform/attributes.ts';
import { closeFile, readFileAtOnce } from '../../platform/files.ts';
import { fileKindNumber, statusField as field, statusFields } from '../../platform/packed-scan.ts';
import { type FileStatus, readStatusOf } from '../../platform/status.ts';
import type { AddedData, ChunkSink, IdList } from '../packs/chunk-sink.ts';
import { type ListedRequest, type OpenedFile, openListed } from '../../sources/source.ts';
import type { NewStatus } from './new-status.ts';
import { readPart } from './span-scan.ts';

/** How often a file that changes while it is read is read again. */
export const changedReadsMax = 3;
/** What is read beyond the size that the status told: a file that has more is growing, and is read again. */
const growthBytesMax = 1 << 20;
/** What is read of a file that says it is empty and is not, as those of /proc. */
const unsizedBytesMax = 64 << 20;
/** One read beyond the size. */
const growthStepBytes = 256 << 10;

/** What a listing said of a file. */
export interface ListedFile extends ListedRequest {
  readonly sizeBytes: number;
  readonly mtimeSeconds: number;
  readonly mtimeNanoseconds: number;
  readonly ctimeSeconds: number;
  readonly ctimeNanoseconds: number;
}

/** How one file was read. */
export interface FileRead {
  readonly sizeBytes: number;
  /** The file changed during every try; what was stored is the last. */
  readonly changing: boolean;
  /** Set when the file is not as listed: describes what was stored. */
  readonly now?: NewStatus;
}

/** How a file was stored that did not go to a worker with others. */
export interface SoleRead extends FileRead {
  /** Ids of its chunks, 32 bytes each. */
  readonly ids: Uint8Array;
}

/** Hears of such a file as it is stored. */
export interface FileListener {
  /** Bytes that were read and stored. */
  bytes(sizeBytes: number): void;
  added(added: AddedData): void;
}

/**
 * Reads one file whole into the sink.
 *
 * The file is opened without following links. It is read again, at most three times in all, while its
 * status differs before and after.
 * @throws SOURCE_FAILED if it is not a regular file any more or a read fails; FILE_NOT_FOUND and kin
 */
export class FileReader {
  readonly #scanner: ChunkScanner;
  readonly #sink: ChunkSink;
  /** Status of the small file that was read last. */
  readonly #status = new Float64Array(statusFields);

  constructor(scanner: ChunkScanner, sink: ChunkSink) {
    this.#scanner = scanner;
    this.#sink = sink;
  }

  read(file: ListedFile, ids: IdList): FileRead {
    const small = this.#readSmall(file, ids);
    if (small) return small;
    const opened = openListed(file);
    try {
      return this.#readOpen(opened, file, ids);
    } finally {
      closeFile(opened.fd);
    }
  }

  /**
   * Reads a file that is one chunk at most with as few calls as can be: most files are small, and are as they were listed.
   * What was read counts, and is handed on, only if the status behind the read is the listed one.
   * @returns undefined if it is not, or nothing could be read: the careful way then tells why
   */
  #readSmall(file: ListedFile, ids: IdList): FileRead | undefined {
    const { sizeBytes } = file;
    if (sizeBytes === 0 || sizeBytes > chunkSizeBytesMin) return undefined;
    const { buffer } = this.#scanner;
    const status = this.#status;
    const into = { target: buffer, sizeBytes: sizeBytes + 1, status };
    if (readFileAtOnce(file.path, into) !== sizeBytes || !isListed(status, file)) return undefined;
    this.#sink.addChunk(buffer.subarray(0, sizeBytes), ids);
    return { sizeBytes, changing: false };
  }

  #readOpen({ fd, status }: OpenedFile, file: ListedFile, ids: IdList): FileRead {
    let before = status;
    let previous: Uint8Array | undefined;
    const firstId = ids.count;
    const asListed = isAsListed(before, file);
    for (let reads = 1; ; reads++) {
      ids.truncate(firstId);
      const { sizeBytes, atEnd } = this.#readContent(fd, before.sizeBytes, ids);
      const after = readStatusOf(fd);
      const isQuiet = atEnd && isUnchanged(before, after);
      if (isQuiet && sizeBytes === after.sizeBytes) {
        if (asListed && reads === 1) return { sizeBytes, changing: false };
        return { sizeBytes, changing: false, now: newStatus(fd, after) };
      }
      // Files of /proc and /sys do not know their size: the same content twice is all there is to have.
      const content = ids.toBytes(firstId);
      const isSame = previous !== undefined && equalBytes(content, previous);
      if (isQuiet && isSame) return { sizeBytes, changing: false, now: newStatus(fd, after) };
      if (reads === changedReadsMax) {
        // The status before: by that of later the torn content would count as unchanged the next time.
        return { sizeBytes, changing: true, now: newStatus(fd, before) };
      }
      previous = content;
      before = after;
    }
  }

  /**
   * Reads from the start to the end of the file, cut into chunks.
   * @returns the bytes read; `atEnd` is false if the file has grown so fast that the end was not reached
   */
  #readContent(
    fd: number,
    expectedBytes: number,
    ids: IdList,
  ): { sizeBytes: number; atEnd: boolean } {
    const buffer = this.#scanner.buffer;
    const limit = readLimitOf(expectedBytes);
    let position = 0;
    let start = 0;
    let filled = 0;
    for (;;) {
      const wanted = Math.min(buffer.byteLength - filled, wantedBytes(expectedBytes - position));
      const count = readPart(fd, buffer.subarray(filled, filled + wanted), position);
      const atEnd = count === 0 || (count < wanted && position + count === expectedBytes);
      position += count;
      filled += count;
      const isLast = atEnd || position >= limit;
      start = this.#storeChunks(start, filled, { isLast, ids });
      if (isLast) return { sizeBytes: position, atEnd };
      if (buffer.byteLength - filled < buffer.byteLength / 4) {
        buffer.copyWithin(0, start, filled);
        filled -= start;
        start = 0;
      }
    }
  }

  /** Stores every chunk that is decided; returns where the first undecided one starts. */
  #storeChunks(start: number, filled: number, to: { isLast: boolean; ids: IdList }): number {
    let from = start;
    while (from < filled) {
      const cut = this.#scanner.nextCut(from, filled, to.isLast);
      if (cut < 0) break;
      this.#sink.addChunk(this.#scanner.buffer.subarray(from, cut), to.ids);
      from = cut;
    }
    return from;
  }
}

/** How much of a file is read at most, of which its status says that it has `expectedBytes`. */
export function readLimitOf(expectedBytes: number): number {
  return expectedBytes === 0 ? unsizedBytesMax : expectedBytes + growthBytesMax;
}

/** One byte more than expected: a short read then proves the end without another call. */
function wantedBytes(expectedBytes: number): number {
  return expectedBytes < 0 ? growthStepBytes : expectedBytes + 1;
}

/** The status of a file that is not as listed, with its attributes: who changed it may have changed them, too. */
export function newStatus(fd: number, status: FileStatus): NewStatus {
  try {
    return { status, attributes: readExtendedAttributes(fd) };
  } catch (error) {
    if (endsWork(error)) throw error;
    return { status };
  }
}

/** True if the status is the one that the listing told. */
export function isAsListed(status: FileStatus, file: ListedFile): boolean {
  return (
    status.inode === file.inode &&
    status.device === file.device &&
    status.sizeBytes === file.sizeBytes &&
    status.mtime.seconds === file.mtimeSeconds &&
    status.mtime.nanoseconds === file.mtimeNanoseconds &&
    status.ctime.seconds === file.ctimeSeconds &&
    status.ctime.nanoseconds === file.ctimeNanoseconds
  );
}

/** As `isAsListed`, of a status in numbers, which must be that of a regular file. */
function isListed(status: Float64Array, file: ListedFile): boolean {
  return (
    status[field.kind] === fileKindNumber &&
    status[field.inode] === file.inode &&
    status[field.device] === file.device &&
    status[field.size] === file.sizeBytes &&
    status[field.mtimeSeconds] === file.mtimeSeconds &&
    status[field.mtimeNanoseconds] === file.mtimeNanoseconds &&
    status[field.ctimeSeconds] === file.ctimeSeconds &&
    status[field.ctimeNanoseconds] === file.ctimeNanoseconds
  );
}

/** True if nothing a writer leaves behind differs between the two. */
export function isUnchanged(before: FileStatus, after: FileStatus): boolean {
  return (
    before.sizeBytes === after.sizeBytes &&
    before.mtime.seconds === after.mtime.seconds &&
    before.mtime.nanoseconds === after.mtime.nanoseconds &&
    before.ctime.seconds === after.ctime.seconds &&
    before.ctime.nanoseconds === after.ctime.nanoseconds
  );
}
