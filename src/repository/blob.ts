import { idSizeBytes } from './id.ts';
import { assert } from '../base/assert.ts';

/** What a blob holds: a piece of a file, or a directory listing. Part of a blob's identity. */
export type BlobType = 'data' | 'tree';

/** One blob as a pack stores it. */
export interface PackedBlob {
  readonly type: BlobType;
  /** SHA-256 of the plain bytes: 32 bytes. */
  readonly id: Uint8Array;
  /** First byte of the sealed blob within the pack. */
  readonly offset: number;
  /** Bytes of the sealed blob. */
  readonly length: number;
  /** Bytes of the plain blob if it is compressed; 0 if it is stored plain. */
  readonly uncompressedLength: number;
}

/** 32-bit words of one blob record: id (8), offset, length, uncompressed length, flags. */
export const recordWords = 12;
/** Bytes of one blob record. */
export const recordSizeBytes: number = recordWords * 4;
/** Flag of a record: the blob is a tree. The lower 29 bits are free for the holder of the record. */
export const treeFlag = 0x8000_0000;

/**
 * Blobs of one pack in a compact form: 48 bytes each in one buffer that can be transferred between threads.
 * The class does not survive a transfer: send `bytes`, and wrap it again on the other side.
 */
export class PackedBlobs {
  /** Records of `recordSizeBytes`: id, then offset, length, uncompressed length, flags as 32-bit words. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array<ArrayBuffer>;

  /** @param bytes whole records, starting at a multiple of 4 in their buffer; kept, not copied */
  constructor(bytes: Uint8Array<ArrayBuffer>) {
    assert(bytes.byteLength % recordSizeBytes === 0, 'packed blobs are whole records');
    this.bytes = bytes;
    this.#words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  }

  /** Encodes `blobs` in their order. */
  static from(blobs: readonly PackedBlob[]): PackedBlobs {
    const packed = new PackedBlobs(new Uint8Array(blobs.length * recordSizeBytes));
    for (const [index, blob] of blobs.entries()) {
      assert(blob.id.byteLength === idSizeBytes, 'a blob id has 32 bytes');
      packed.bytes.set(blob.id, index * recordSizeBytes);
      const word = index * recordWords + 8;
      packed.#words[word] = blob.offset;
      packed.#words[word + 1] = blob.length;
      packed.#words[word + 2] = blob.uncompressedLength;
      packed.#words[word + 3] = blob.type === 'tree' ? treeFlag : 0;
    }
    return packed;
  }

  get count(): number {
    return this.bytes.byteLength / recordSizeBytes;
  }

  /** The blob at `index`; its id is a view. */
  at(index: number): PackedBlob {
    const word = index * recordWords + 8;
    const start = index * recordSizeBytes;
    return {
      type: this.typeAt(index),
      id: this.bytes.subarray(start, start + idSizeBytes),
      offset: this.#words[word]!,
      length: this.#words[word + 1]!,
      uncompressedLength: this.#words[word + 2]!,
    };
  }

  typeAt(index: number): BlobType {
    return this.#words[index * recordWords + 11]! >= treeFlag ? 'tree' : 'data';
  }

  /** The blobs in order; ids are views. */
  *iterate(): IterableIterator<PackedBlob> {
    const count = this.count;
    for (let index = 0; index < count; index++) yield this.at(index);
  }
}
