import { assert } from '../../base/assert.ts';
import { endsWork } from '../../base/errors.ts';
import { releaseBuffer } from '../../base/release.ts';
import { closeFile, openFile, readAt } from '../../platform/files.ts';
import { readStatusOf } from '../../platform/status.ts';
import type { ByteRange } from '../../storage/backend.ts';

/** How a thread gets the bytes of a pack, or of a range of it. */
export type PackContent =
  /** Here they are, the thread's from now on; the first of them stands at `start` of the pack. */
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array<ArrayBuffer>; readonly start: number }
  /** It reads them itself from the file at this path; all of it without a range. */
  | { readonly kind: 'file'; readonly path: string; readonly range?: ByteRange };

/** Read at once: what fits into the nearest cache together with what is made of it. */
const windowSizeBytes = 256 << 10;

/** What a large blob needed is given back afterwards. */
const keptSizeBytesMax = 16 << 20;

/** The bytes of one pack, or of a range of it, mostly asked for from front to back. */
export interface PackBytes {
  /** Where the range ends, that is for a whole pack its size. */
  readonly end: number;
  /**
   * Bytes `[start, end)` of the pack, valid until the next call. Undefined if they cannot be had from here; then the
   * storage is to be asked, which knows what to make of that.
   */
  at(start: number, end: number): Uint8Array<ArrayBuffer> | undefined;
}

/**
 * Opens the contents of packs, one after another; one per thread.
 *
 * A file is read piece by piece into memory that is used again, so that a piece is hashed, deciphered and decompressed
 * while it is in the processor's cache.
 */
export class PackContents {
  readonly #window = new FileWindow();

  /**
   * Lends the bytes of `content` to `use`.
   * @param onRead hears all bytes in order, each once, as far as they are read
   * @returns what `use` returns; undefined if the file cannot be opened, or is shorter than it should be
   */
  with<T>(
    content: PackContent,
    use: (bytes: PackBytes) => T,
    onRead?: (bytes: Uint8Array) => void,
  ): T | undefined {
    if (content.kind === 'file') return this.#withFile(content, use, onRead);
    try {
      onRead?.(content.bytes);
      return use(new GivenBytes(content.bytes, content.start));
    } finally {
      releaseBuffer(content.bytes.buffer);
    }
  }

  #withFile<T>(
    { path, range }: Extract<PackContent, { kind: 'file' }>,
    use: (bytes: PackBytes) => T,
    onRead: ((bytes: Uint8Array) => void) | undefined,
  ): T | undefined {
    let file: number;
    try {
      file = openFile(Buffer.from(path));
    } catch (error) {
      if (endsWork(error)) throw error;
      return undefined;
    }
    try {
      const { kind, sizeBytes } = readStatusOf(file);
      const { start, end } = range ?? { start: 0, end: sizeBytes };
      if (kind !== 'file' || end > sizeBytes) return undefined;
      this.#window.begin(file, { start, end }, onRead);
      return use(this.#window);
    } finally {
      closeFile(file);
    }
  }
}

class GivenBytes implements PackBytes {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #start: number;

  constructor(bytes: Uint8Array<ArrayBuffer>, start: number) {
    this.#bytes = bytes;
    this.#start = start;
  }

  get end(): number {
    return this.#start + this.#bytes.byteLength;
  }

  at(start: number, end: number): Uint8Array<ArrayBuffer> | undefined {
    if (start < this.#start || end > this.end || start > end) return undefined;
    return this.#bytes.subarray(start - this.#start, end - this.#start);
  }
}

/** A file seen through a window that moves from its front to its back. */
class FileWindow implements PackBytes {
  #file = -1;
  #onRead: ((bytes: Uint8Array) => void) | undefined;
  #buffer: Uint8Array<ArrayBuffer> = new Uint8Array(2 * windowSizeBytes);
  /** Offset in the file of the first byte in the buffer, and behind the last one. */
  #start = 0;
  #filled = 0;
  #end = 0;
  #isBroken = false;

  begin(file: number, { start, end }: ByteRange, onRead?: (bytes: Uint8Array) => void): void {
    if (this.#buffer.byteLength > keptSizeBytesMax) {
      releaseBuffer(this.#buffer.buffer);
      this.#buffer = new Uint8Array(2 * windowSizeBytes);
    }
    this.#file = file;
    this.#onRead = onRead;
    this.#start = start;
    this.#filled = start;
    this.#end = end;
    this.#isBroken = false;
  }

  get end(): number {
    return this.#end;
  }

  at(start: number, end: number): Uint8Array<ArrayBuffer> | undefined {
    if (this.#isBroken || start > end || end > this.#end) return undefined;
    try {
      if (start < this.#start) return this.#readApart(start, end);
      // What is passed over is read as well: somebody may want to hear all of it.
      while (this.#filled < start)
        if (!this.#advance(this.#filled, windowSizeBytes)) return undefined;
      while (this.#filled < end) if (!this.#advance(start, end - this.#filled)) return undefined;
      return this.#buffer.subarray(start - this.#start, end - this.#start);
    } catch (error) {
      if (endsWork(error)) throw error;
      this.#isBroken = true;
      return undefined;
    }
  }

  /** Reads on, a window or more, and keeps what is in the buffer from `keptFrom`. False if the file has become shorter. */
  #advance(keptFrom: number, neededBytes: number): boolean {
    assert(keptFrom >= this.#start && keptFrom <= this.#filled, 'what is kept is in the buffer');
    const keptBytes = this.#filled - keptFrom;
    const wantedBytes = Math.min(Math.max(neededBytes, windowSizeBytes), this.#end - this.#filled);
    const from = keptFrom - this.#start;
    if (keptBytes + wantedBytes > this.#buffer.byteLength) {
      const larger = new Uint8Array(keptBytes + wantedBytes);
      larger.set(this.#buffer.subarray(from, from + keptBytes));
      releaseBuffer(this.#buffer.buffer);
      this.#buffer = larger;
    } else this.#buffer.copyWithin(0, from, from + keptBytes);
    this.#start = keptFrom;
    const target = this.#buffer.subarray(keptBytes, keptBytes + wantedBytes);
    this.#isBroken = !readWhole(this.#file, target, this.#filled);
    if (this.#isBroken) return false;
    this.#filled += wantedBytes;
    this.#onRead?.(target);
    return true;
  }

  /** What the window has passed already. */
  #readApart(start: number, end: number): Uint8Array<ArrayBuffer> | undefined {
    const bytes = new Uint8Array(end - start);
    return readWhole(this.#file, bytes, start) ? bytes : undefined;
  }
}

/** Fills `target` from `position`; false if the file ends before. */
function readWhole(file: number, target: Uint8Array, position: number): boolean {
  let done = 0;
  while (done < target.byteLength) {
    const count = readAt(file, target.subarray(done), position + done);
    if (count === 0) return false;
    done += count;
  }
  return true;
}
