import { HoldfastError } from '../../base/errors.ts';
import type { ChunkScanner } from '../../kernels/chunker.ts';
import { closeFile, readAt } from '../../platform/files.ts';
import { type FileStatus, readStatusOf } from '../../platform/status.ts';
import { type OpenedFile, type OpenRequest, openSourceFile } from '../../sources/source.ts';
import type { ChunkSink, IdList } from './chunk-sink.ts';

/** How often a file that changes while it is read is read again. */
const changedReadsMax = 3;

/** What a listing said of a file. */
export interface ListedFile extends OpenRequest {
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
  readonly status?: FileStatus;
}

/**
 * Reads one file whole into the sink.
 *
 * The file is opened without following links. It is read again, at most three times, while its
 * status differs before and after.
 * @throws SOURCE_FAILED if it is not a regular file any more or a read fails; FILE_NOT_FOUND and kin
 */
export class FileReader {
  readonly #scanner: ChunkScanner;
  readonly #sink: ChunkSink;

  constructor(scanner: ChunkScanner, sink: ChunkSink) {
    this.#scanner = scanner;
    this.#sink = sink;
  }

  read(file: ListedFile, ids: IdList): FileRead {
    // A file that an editor replaced by renaming is as good as the listed one: its own status counts.
    const opened = openSourceFile(file, { acceptReplaced: true });
    try {
      return this.#readOpen(opened, file, ids);
    } finally {
      closeFile(opened.fd);
    }
  }

  #readOpen({ fd, status }: OpenedFile, file: ListedFile, ids: IdList): FileRead {
    let before = status;
    const firstId = ids.count;
    const asListed = isAsListed(before, file);
    for (let reads = 1; ; reads++) {
      ids.truncate(firstId);
      const sizeBytes = this.#readContent(fd, before.sizeBytes, ids);
      const after = readStatusOf(fd);
      const stable = sizeBytes === after.sizeBytes && isUnchanged(before, after);
      if (stable && asListed && reads === 1) return { sizeBytes, changing: false };
      if (stable) return { sizeBytes, changing: false, status: after };
      if (reads === changedReadsMax) return { sizeBytes, changing: true, status: after };
      before = after;
    }
  }

  /** Reads from the start to the end of the file, cut into chunks; returns the bytes read. */
  #readContent(fd: number, expectedBytes: number, ids: IdList): number {
    const buffer = this.#scanner.buffer;
    let position = 0;
    let start = 0;
    let filled = 0;
    for (;;) {
      // One byte more than expected: a short read then proves the end without another call.
      const wanted = Math.min(
        buffer.byteLength - filled,
        Math.max(expectedBytes - position, 0) + 1,
      );
      const count = readPart(fd, buffer.subarray(filled, filled + wanted), position);
      const isLast = count === 0 || (count < wanted && position + count === expectedBytes);
      position += count;
      filled += count;
      start = this.#storeChunks(start, filled, { isLast, ids });
      if (isLast) return position;
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

function readPart(fd: number, target: Uint8Array, position: number): number {
  try {
    return readAt(fd, target, position);
  } catch (cause) {
    throw new HoldfastError('SOURCE_FAILED', { details: { offset: position }, cause });
  }
}

function isAsListed(status: FileStatus, file: ListedFile): boolean {
  return (
    status.sizeBytes === file.sizeBytes &&
    status.mtime.seconds === file.mtimeSeconds &&
    status.mtime.nanoseconds === file.mtimeNanoseconds &&
    status.ctime.seconds === file.ctimeSeconds &&
    status.ctime.nanoseconds === file.ctimeNanoseconds
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
