import { assert } from '../../base/assert.ts';
import { releaseBuffer } from '../../base/release.ts';
import { type PackedBlob, PackedBlobs, recordWords } from '../../repository/blob.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { areInOrder } from '../../repository/indexed-reads.ts';

/** The entries of an index grouped by pack and ordered by offset, in memory that threads share. */
export class PackOrder {
  /** Int32 entries. */
  readonly entriesBuffer: SharedArrayBuffer;
  /** Int32 starts, one more than packs. */
  readonly startsBuffer: SharedArrayBuffer;
  readonly #entries: Int32Array;
  readonly #starts: Int32Array;

  constructor(entriesBuffer: SharedArrayBuffer, startsBuffer: SharedArrayBuffer) {
    this.entriesBuffer = entriesBuffer;
    this.startsBuffer = startsBuffer;
    this.#entries = new Int32Array(entriesBuffer);
    this.#starts = new Int32Array(startsBuffer);
  }

  /**
   * Orders entries of `index`, by counting: 8 bytes a blob.
   * @param chosen none pending; absent: all entries
   */
  static of(index: BlobIndex, chosen?: Int32Array): PackOrder {
    const { packCount } = index;
    const blobCount = chosen?.length ?? index.blobCount;
    const starts = new Int32Array(new SharedArrayBuffer(4 * (packCount + 1)));
    for (let i = 0; i < blobCount; i++) {
      const entry = chosen?.[i] ?? i;
      const next = index.packOf(entry) + 1;
      starts[next] = (starts[next] ?? 0) + 1;
    }
    for (let pack = 0; pack < packCount; pack++) {
      starts[pack + 1] = (starts[pack + 1] ?? 0) + (starts[pack] ?? 0);
    }
    const entries = new Int32Array(new SharedArrayBuffer(4 * blobCount));
    const next = starts.slice();
    for (let i = 0; i < blobCount; i++) {
      const entry = chosen?.[i] ?? i;
      const pack = index.packOf(entry);
      const at = next[pack] ?? 0;
      entries[at] = entry;
      next[pack] = at + 1;
    }
    const order = new PackOrder(entries.buffer, starts.buffer);
    for (let pack = 0; pack < packCount; pack++) {
      const of = order.entriesOf(pack);
      if (!areInOrder(index, of)) of.sort((a, b) => index.offsetOf(a) - index.offsetOf(b));
    }
    return order;
  }

  /** Orders the entries of some packs. */
  static ofPacks(index: BlobIndex, packs: readonly number[]): PackOrder {
    const isChosen = new Uint8Array(index.packCount);
    for (const pack of packs) isChosen[pack] = 1;
    const entries = new Int32Array(index.blobCount);
    let count = 0;
    for (let entry = 0; entry < index.blobCount; entry++) {
      if (isChosen[index.packOf(entry)] === 1 && !index.isPending(entry)) entries[count++] = entry;
    }
    const order = PackOrder.of(index, entries.subarray(0, count));
    releaseBuffer(entries.buffer);
    return order;
  }

  get packCount(): number {
    return this.#starts.length - 1;
  }

  /** The blobs of one pack by offset, as `index`, whose order this is, has them. */
  blobsOf(index: BlobIndex, pack: number): PackedBlob[] {
    return Array.from(this.entriesOf(pack), (entry) => index.blobOf(entry));
  }

  /** The same in the compact form. */
  packedBlobsOf(index: BlobIndex, pack: number): PackedBlobs {
    const entries = this.entriesOf(pack);
    const words = new Uint32Array(entries.length * recordWords);
    for (const [at, entry] of entries.entries()) index.recordInto(entry, words, at * recordWords);
    return new PackedBlobs(new Uint8Array(words.buffer));
  }

  /** The entries of one pack by offset; a view. */
  entriesOf(pack: number): Int32Array {
    assert(pack >= 0 && pack < this.packCount, 'the pack is in the index');
    return this.#entries.subarray(this.#starts[pack], this.#starts[pack + 1]);
  }
}
