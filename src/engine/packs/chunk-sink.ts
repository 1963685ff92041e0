import { idSizeBytes } from '../../repository/id.ts';
import { assert } from '../../base/assert.ts';
import { sha256Into } from '../../kernels/sha256.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import type { BlobType, FinishedPack, PackBuilder } from '../../repository/pack.ts';
import type { BlobPieces } from '../../repository/pack-pieces.ts';

/** What a request added to the repository. */
export interface AddedData {
  readonly blobCount: number;
  readonly plainBytes: number;
  readonly storedBytes: number;
}

/** Takes a finished pack with the index entries of its blobs, in order. */
export type PackTaker = (pack: FinishedPack, entries: Int32Array<ArrayBuffer>) => void;

/**
 * After so many new chunks without a known one, the next is packed before it is known whether it is new: if it is, it is
 * hashed once instead of twice, a tenth of the work on a large file of noise. At most one in nine is packed in vain.
 */
const newInRowMin = 8;
/** One in so many of these is hashed before and after all the same: a processor that errs in hashing is found out soon. */
const hashedTwiceEach = 4;

/** Blobs that a pack has room for at first. */
const entryCountFirst = 256;

/**
 * Where a worker's plain chunks and trees end: hashed, looked up, and packed if they are new.
 *
 * Not safe to share between threads; the index it claims from is.
 */
export class ChunkSink {
  readonly #index: BlobIndex;
  readonly #builders: Record<BlobType, PackBuilder>;
  readonly #entries: Record<BlobType, EntryList> = { data: new EntryList(), tree: new EntryList() };
  readonly #take: PackTaker;
  readonly #id = new Uint8Array(idSizeBytes);
  /** Chunks that were new, since the last one that was known. */
  #newInRow = 0;
  #added = { blobCount: 0, plainBytes: 0, storedBytes: 0 };

  constructor(index: BlobIndex, builders: Record<BlobType, PackBuilder>, take: PackTaker) {
    this.#index = index;
    this.#builders = builders;
    this.#take = take;
  }

  /** Stores one chunk unless it is known, and appends its id to `ids`. */
  addChunk(bytes: Uint8Array, ids: IdList): void {
    const isHashedTwice =
      this.#newInRow < newInRowMin || this.#newInRow % hashedTwiceEach === hashedTwiceEach - 1;
    const isNew = isHashedTwice ? this.#addHashed(bytes, ids) : this.#addUnhashed(bytes, ids);
    this.#newInRow = isNew ? this.#newInRow + 1 : 0;
  }

  /** @returns true if the chunk was new */
  #addHashed(bytes: Uint8Array, ids: IdList): boolean {
    sha256Into(bytes, this.#id, 0);
    ids.append(this.#id);
    const entry = this.#index.claim('data', this.#id);
    if (entry >= 0) this.addClaimed('data', { id: this.#id, entry, bytes });
    return entry >= 0;
  }

  /** @returns true if the chunk was new */
  #addUnhashed(bytes: Uint8Array, ids: IdList): boolean {
    let entry = -1;
    const added = this.#builders.data.addUnhashed('data', bytes, (id) => {
      ids.append(id);
      entry = this.#index.claim('data', id);
      return entry >= 0;
    });
    if (added) this.#count('data', entry, { ...added, plainBytes: bytes.byteLength });
    return added !== undefined;
  }

  /** Stores a blob that the caller has claimed in the index. */
  addClaimed(
    type: BlobType,
    blob: { readonly id: Uint8Array; readonly entry: number; readonly bytes: Uint8Array },
  ): void {
    const { storedBytes } = this.#builders[type].add(type, blob.id, blob.bytes);
    this.#count(type, blob.entry, { plainBytes: blob.bytes.byteLength, storedBytes });
  }

  /** As `addClaimed`, for a tree that came in pieces. */
  addTreePieces(blob: {
    readonly id: Uint8Array;
    readonly entry: number;
    readonly pieces: BlobPieces;
  }): void {
    const plainBytes = blob.pieces.plainSizeBytes;
    const { storedBytes } = this.#builders.tree.addPieces(blob.id, blob.pieces);
    this.#count('tree', blob.entry, { plainBytes, storedBytes });
  }

  /** Stores a blob that the caller has claimed and `add` packs. @param plainBytes size of the plain blob */
  addPacked(
    type: BlobType,
    blob: { readonly entry: number; readonly plainBytes: number },
    add: (builder: PackBuilder) => { readonly storedBytes: number },
  ): void {
    const { storedBytes } = add(this.#builders[type]);
    this.#count(type, blob.entry, { plainBytes: blob.plainBytes, storedBytes });
  }

  #count(
    type: BlobType,
    entry: number,
    sizes: { readonly plainBytes: number; readonly storedBytes: number },
  ): void {
    this.#entries[type].append(entry);
    this.#added.blobCount++;
    this.#added.plainBytes += sizes.plainBytes;
    this.#added.storedBytes += sizes.storedBytes;
    if (this.#builders[type].isFull) this.#finish(type);
  }

  /** Hands over what is packed but not full. */
  flush(): void {
    for (const type of ['data', 'tree'] as const) {
      if (this.#builders[type].blobCount > 0) this.#finish(type);
    }
  }

  /** What was added since the last call. */
  takeAdded(): AddedData {
    const added = this.#added;
    this.#added = { blobCount: 0, plainBytes: 0, storedBytes: 0 };
    return added;
  }

  /** Bytes added since the last `takeAdded`: plain and stored. */
  get added(): AddedData {
    return this.#added;
  }

  #finish(type: BlobType): void {
    const pack = this.#builders[type].finish();
    const entries = this.#entries[type].take();
    assert(entries.length > 0, 'a finished pack has blobs');
    this.#take(pack, entries);
  }
}

/** Index entries of the blobs of a pack, in order. */
class EntryList {
  #entries = new Int32Array(entryCountFirst);
  #count = 0;

  append(entry: number): void {
    if (this.#count === this.#entries.length) {
      this.#entries = new Int32Array(this.#entries.buffer.transfer(2 * this.#entries.byteLength));
    }
    this.#entries[this.#count++] = entry;
  }

  /** All of them, with memory of their own; the list is empty then. */
  take(): Int32Array<ArrayBuffer> {
    const sizeBytes = this.#count * Int32Array.BYTES_PER_ELEMENT;
    const taken = new Int32Array(this.#entries.buffer.transfer(sizeBytes));
    // The next pack will have about as many.
    this.#entries = new Int32Array(Math.max(entryCountFirst, this.#count + (this.#count >> 3)));
    this.#count = 0;
    return taken;
  }
}

/** A growing list of blob ids, kept as bytes. */
export class IdList {
  #bytes = new Uint8Array(64 * idSizeBytes);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  append(id: Uint8Array): void {
    const end = (this.#count + 1) * idSizeBytes;
    if (end > this.#bytes.byteLength) {
      const larger = new Uint8Array(this.#bytes.byteLength * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(id, end - idSizeBytes);
    this.#count++;
  }

  /** Forgets all ids after the first `count`. */
  truncate(count: number): void {
    this.#count = count;
  }

  /** A copy of all ids from number `first` on, 32 bytes each. */
  toBytes(first = 0): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(first * idSizeBytes, this.#count * idSizeBytes);
  }
}
