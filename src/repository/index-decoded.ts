import { idSizeBytes } from './id.ts';
import { defined } from '../base/assert.ts';
import { recordWords } from './blob.ts';

/**
 * What index files list, pack after pack, in few large arrays. Cleared and used again for the next file, so that
 * reading thousands of files allocates no more than the largest of them needs.
 */
export class DecodedIndex {
  packCount = 0;
  blobCount = 0;
  /** Ids of the packs, 32 bytes each. */
  packIds: Uint8Array<ArrayBuffer> = new Uint8Array(256 * idSizeBytes);
  /** Number of the first blob after each pack. */
  packEnds: Uint32Array<ArrayBuffer> = new Uint32Array(256);
  /** Records of the blobs, as in `PackedBlobs`: `recordWords` each. */
  records: Uint32Array<ArrayBuffer> = new Uint32Array(1024 * recordWords);
  /** The same memory as `records`. */
  recordBytes: Uint8Array<ArrayBuffer> = new Uint8Array(this.records.buffer);

  clear(): void {
    this.packCount = 0;
    this.blobCount = 0;
  }

  /** Makes room for one more blob. */
  growRecords(): void {
    if ((this.blobCount + 1) * recordWords <= this.records.length) return;
    const larger = new Uint32Array(this.records.length * 2);
    larger.set(this.records);
    this.records = larger;
    this.recordBytes = new Uint8Array(larger.buffer);
  }

  /** Ends a pack: it has all blobs added since the one before. */
  endPack(id: Uint8Array): void {
    if ((this.packCount + 1) * idSizeBytes > this.packIds.length) {
      const largerIds = new Uint8Array(this.packIds.length * 2);
      largerIds.set(this.packIds);
      this.packIds = largerIds;
      const largerEnds = new Uint32Array(this.packEnds.length * 2);
      largerEnds.set(this.packEnds);
      this.packEnds = largerEnds;
    }
    this.packIds.set(id, this.packCount * idSizeBytes);
    this.packEnds[this.packCount++] = this.blobCount;
  }

  /** The id of a pack: a view. */
  packId(pack: number): Uint8Array<ArrayBuffer> {
    return this.packIds.subarray(pack * idSizeBytes, (pack + 1) * idSizeBytes);
  }

  /** The records of the blobs of a pack: a view. */
  recordsOf(pack: number): Uint32Array<ArrayBuffer> {
    const start = pack === 0 ? 0 : defined(this.packEnds[pack - 1], 'packs are numbered from 0');
    const end = defined(this.packEnds[pack], 'the pack is in the file');
    return this.records.subarray(start * recordWords, end * recordWords);
  }
}
