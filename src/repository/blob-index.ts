import { sealOverheadBytes } from '../kernels/seal.ts';
import { idSizeBytes } from './id.ts';
import { assert } from '../base/assert.ts';
import { type Random, randomBytes, systemRandom } from '../base/random.ts';
import {
  type BlobType,
  type PackedBlob,
  type PackedBlobs,
  recordSizeBytes,
  recordWords,
} from './blob.ts';
import { SharedMutex } from './blob-mutex.ts';
import {
  BlobTable,
  type BlobTableControl,
  type BlobTableShare,
  keyFlag,
  numberMask,
  pendingFlag,
  tableControlWords,
} from './blob-table.ts';

/** Where a blob is stored. All numbers are unsigned 32-bit. */
export interface BlobLocation {
  /** Number of the pack, from `addPack`. */
  readonly pack: number;
  /** First byte of the sealed blob within the pack. */
  readonly offset: number;
  /** Bytes of the sealed blob. */
  readonly length: number;
  /** Bytes of the plain blob if it is compressed; 0 if it is stored plain. */
  readonly uncompressedLength: number;
}

/** The memory of a BlobIndex; can be posted to other threads. */
export interface BlobIndexShare {
  readonly control: SharedArrayBuffer;
  readonly blobs: BlobTableShare;
  readonly packs: BlobTableShare;
}

/** What a new index starts with; all of it may be absent. */
export interface BlobIndexOptions {
  /** Room to make at once; the index grows beyond it as needed. */
  readonly expectedBlobCount?: number;
  /** Source of the secret that keeps the places of ids unpredictable. */
  readonly random?: Random;
  /** What an index whose parts are to be adopted has: its secret of 32 bytes, and the number of its slots. */
  readonly shape?: { readonly seed: Uint8Array; readonly slotBits: number };
}

/** A part of an index that can be copied: its entries, its packs, or the slots that lead to the entries. */
export type IndexPart = 'blobs' | 'packs' | 'slots';

/** 32-bit words of one unit of each part. */
export const indexPartWords: Readonly<Record<IndexPart, number>> = {
  blobs: recordWords,
  packs: recordWords,
  slots: 1,
};

/** What became of a pack that an index file lists. */
export type PackListing = 'added' | 'repeated' | 'conflicting';

/** Copies of one blob that are compared when a pack is listed twice with different blobs. */
const copiesComparedMax = 64;
/** Blobs that one pack has on average, for the room to make at once. */
const blobsPerPackExpected = 64;
const mutexWord = 0;
const seedWord = 4;
const blobBase = 16;
const packBase: number = blobBase + tableControlWords;
const controlWords: number = packBase + tableControlWords;

/**
 * Which blobs are stored, and where: the union of all index files, plus what this run adds.
 *
 * Lives in shared memory: 48 bytes a blob plus about 7 bytes of slots, no JavaScript object a blob. Every thread
 * attaches its own instance; all methods may be called at any time from any thread. Entries have dense numbers from 0
 * that never change. The same blob in several packs is several entries.
 */
export class BlobIndex {
  readonly #share: BlobIndexShare;
  readonly #mutex: SharedMutex;
  readonly #blobs: BlobTable;
  readonly #packs: BlobTable;

  private constructor(share: BlobIndexShare) {
    this.#share = share;
    this.#mutex = new SharedMutex(new Int32Array(share.control), mutexWord);
    this.#blobs = new BlobTable(share.blobs, tableControl(share.control, blobBase));
    this.#packs = new BlobTable(share.packs, tableControl(share.control, packBase));
  }

  static create(options: BlobIndexOptions = {}): BlobIndex {
    const control = new SharedArrayBuffer(controlWords * 4);
    const seed = options.shape?.seed.slice() ?? randomBytes(options.random ?? systemRandom, 32);
    for (let word = 0; word < 8; word++) seed[word * 4] = seed[word * 4]! | 1;
    new Uint8Array(control, seedWord * 4, 32).set(seed);
    const expected = options.expectedBlobCount ?? 0;
    return new BlobIndex({
      control,
      blobs: BlobTable.allocate(tableControl(control, blobBase), {
        count: expected,
        slotBits: options.shape?.slotBits,
      }),
      packs: BlobTable.allocate(tableControl(control, packBase), {
        count: Math.ceil(expected / blobsPerPackExpected),
      }),
    });
  }

  /** The same index in another thread. */
  static attach(share: BlobIndexShare): BlobIndex {
    return new BlobIndex(share);
  }

  share(): BlobIndexShare {
    return this.#share;
  }

  /**
   * Says that no other thread uses the index any more. If one was stopped by force while it changed it, further
   * changes throw WORKER_FAILED at once, not after a long wait; searching goes on.
   */
  abandonThreads(): void {
    this.#mutex.abandon();
  }

  /** Number of entries, those without a place yet included. */
  get blobCount(): number {
    return this.#blobs.count;
  }

  get packCount(): number {
    return this.#packs.count;
  }

  /** Number of the pack with this id; it is added if it is new. */
  addPack(id: Uint8Array): number {
    assert(id.byteLength === idSizeBytes, 'a pack id has 32 bytes');
    const known = this.findPack(id);
    if (known >= 0) return known;
    this.#mutex.lock();
    try {
      this.#packs.loadKey(id, 0);
      const found = this.#packs.find(0);
      return found >= 0 ? found : this.#packs.append(0, 0, 0, 0);
    } finally {
      this.#mutex.unlock();
    }
  }

  /**
   * Adds a whole pack as one index file lists it, unless it is known with the same blobs. If it is known with other
   * blobs, which is damage, what is new is added.
   * @param records whole records; the flags hold the type only
   */
  addListedPack(id: Uint8Array, records: Uint32Array<ArrayBuffer>): PackListing {
    assert(id.byteLength === idSizeBytes, 'a pack id has 32 bytes');
    const digest = digestOf(records);
    const count = records.length / recordWords;
    this.#mutex.lock();
    try {
      this.#packs.loadKey(id, 0);
      const known = this.#packs.find(0);
      if (known < 0) {
        this.#blobs.appendAll(records, this.#packs.append(0, count, digest.a, digest.b));
        return 'added';
      }
      const listed = this.#packs.records.subarray(known * recordWords, (known + 1) * recordWords);
      if (listed[8] === count && listed[9] === digest.a && listed[10] === digest.b) {
        return 'repeated';
      }
      this.#blobs.appendAll(this.#notIn(known, records), known);
      return 'conflicting';
    } finally {
      this.#mutex.unlock();
    }
  }

  /** What an index must be created with to adopt parts of this one. */
  shape(): { readonly seed: Uint8Array<ArrayBuffer>; readonly slotBits: number } {
    const seed = new Uint8Array(new Uint8Array(this.#share.control, seedWord * 4, 32));
    return { seed, slotBits: this.#blobs.slotBits };
  }

  /** How many units each part has. */
  partCount(part: IndexPart): number {
    if (part === 'slots') return 2 ** this.#blobs.slotBits;
    return part === 'blobs' ? this.#blobs.count : this.#packs.count;
  }

  /** A copy of the units `[start, end)` of a part, for `adoptPart` of another index. */
  copyPart(part: IndexPart, start: number, end: number): Uint32Array<ArrayBuffer> {
    assert(start <= end && end <= this.partCount(part), 'the index has this part');
    if (part === 'slots') return this.#blobs.copySlots(start, end);
    const table = part === 'blobs' ? this.#blobs : this.#packs;
    if (end > 0) table.reach(end - 1);
    return new Uint32Array(table.records.subarray(start * recordWords, end * recordWords));
  }

  /**
   * Takes over the next units of a part of another index, all in their order. It must have had the shape that this
   * index was created with, and no pending entries. All is believed: the caller knows it to be authentic. Until all
   * parts are there this index must not be used.
   * @param first number of the first unit
   */
  adoptPart(part: IndexPart, words: Uint32Array, first: number): void {
    this.#mutex.lock();
    try {
      if (part === 'slots') return this.#blobs.adoptSlots(words, first);
      assert(first === this.partCount(part), 'parts of an index come in their order');
      if (part === 'blobs') this.#blobs.adoptRecords(words);
      else this.#packs.adopt(words);
    } finally {
      this.#mutex.unlock();
    }
  }

  /** Number of the pack with this id, or -1. */
  findPack(id: Uint8Array): number {
    this.#packs.loadKey(id, 0);
    return this.#packs.find(0);
  }

  /** A copy of the id of a pack. */
  packId(pack: number): Uint8Array<ArrayBuffer> {
    this.#packs.reach(pack);
    return copyOfKey(this.#packs.records, pack);
  }

  /** Adds an entry and returns its number. */
  insert(type: BlobType, id: Uint8Array, location: BlobLocation): number {
    assert(id.byteLength === idSizeBytes, 'a blob id has 32 bytes');
    checkLocation(location);
    this.#mutex.lock();
    try {
      this.#blobs.loadKey(id, 0);
      const flags = keyFlagOf(type) + location.pack;
      return this.#blobs.append(
        flags,
        location.offset,
        location.length,
        location.uncompressedLength,
      );
    } finally {
      this.#mutex.unlock();
    }
  }

  /** First entry of a blob, stored or pending, or -1. */
  find(type: BlobType, id: Uint8Array, idOffset = 0): number {
    this.#blobs.loadKey(id, idOffset);
    return this.#blobs.find(keyFlagOf(type));
  }

  /** First entry of the blob of `entry`: what `find` gives for its id. */
  firstOf(entry: number): number {
    return this.#blobs.firstOf(entry);
  }

  /** All entries of a blob in order of insertion. */
  findAll(type: BlobType, id: Uint8Array, idOffset = 0): number[] {
    this.#blobs.loadKey(id, idOffset);
    return this.#blobs.findAll(keyFlagOf(type));
  }

  /** As `findAll`, but only the latest `countMax`: a hostile index lists one blob millions of times. */
  findSome(type: BlobType, id: Uint8Array, countMax: number): number[] {
    this.#blobs.loadKey(id, 0);
    return this.#blobs.findSome(keyFlagOf(type), countMax);
  }

  /**
   * Claims a blob for the caller to store, atomically among all threads.
   * @returns the number of a new, pending entry, to be given to `place` once the blob has a place; -1 if the blob is
   *   stored or claimed already
   */
  claim(type: BlobType, id: Uint8Array, idOffset = 0): number {
    this.#blobs.loadKey(id, idOffset);
    const flags = keyFlagOf(type);
    if (this.#blobs.findFast(flags) >= 0) return -1;
    this.#mutex.lock();
    try {
      if (this.#blobs.find(flags) >= 0) return -1;
      return this.#blobs.append(flags + pendingFlag, 0, 0, 0);
    } finally {
      this.#mutex.unlock();
    }
  }

  /** As `claim`, for a blob whose stored copies are not to be relied on: it gets a further entry. */
  claimCopy(type: BlobType, id: Uint8Array): number {
    this.#blobs.loadKey(id, 0);
    this.#mutex.lock();
    try {
      return this.#blobs.append(keyFlagOf(type) + pendingFlag, 0, 0, 0);
    } finally {
      this.#mutex.unlock();
    }
  }

  /** Gives the claimed entries of all blobs of a pack their places. */
  place(entries: Int32Array, pack: number, blobs: PackedBlobs): void {
    assert(entries.length === blobs.count, 'each blob of a pack has an index entry');
    assert(pack >= 0 && pack <= numberMask, 'the number of a pack fits 29 bits');
    const { bytes } = blobs;
    const places = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    for (let i = 0; i < entries.length; i++) {
      const word = this.#wordOf(entries[i]!);
      const place = i * recordWords;
      const { records } = this.#blobs;
      const flags = records[word + 11]!;
      assert((flags & pendingFlag) !== 0, 'only a pending blob is placed');
      for (let index = 8; index < 11; index++) records[word + index] = places[place + index]!;
      // Last and atomically: who sees the mark gone also sees the place.
      Atomics.store(records, word + 11, (flags & ~(pendingFlag | numberMask)) | pack);
    }
  }

  /** True for a claimed entry that has no place yet. */
  isPending(entry: number): boolean {
    const word = this.#wordOf(entry);
    return (Atomics.load(this.#blobs.records, word + 11) & pendingFlag) !== 0;
  }

  typeOf(entry: number): BlobType {
    return this.#word(entry, 11) >= keyFlag ? 'tree' : 'data';
  }

  packOf(entry: number): number {
    return this.#word(entry, 11) & numberMask;
  }

  offsetOf(entry: number): number {
    return this.#word(entry, 8);
  }

  lengthOf(entry: number): number {
    return this.#word(entry, 9);
  }

  /** The blob of an entry, as its pack stores it. */
  blobOf(entry: number): PackedBlob {
    return {
      type: this.typeOf(entry),
      id: this.idOf(entry),
      offset: this.offsetOf(entry),
      length: this.lengthOf(entry),
      uncompressedLength: this.uncompressedLengthOf(entry),
    };
  }

  /** Bytes of a blob before compression and sealing, 0 where the index declares less than sealing takes. */
  plainSizeOf(entry: number): number {
    const plain = this.uncompressedLengthOf(entry);
    return plain > 0 ? plain : Math.max(0, this.lengthOf(entry) - sealOverheadBytes);
  }

  uncompressedLengthOf(entry: number): number {
    return this.#word(entry, 10);
  }

  /** Writes the 32 bytes of the blob's id. */
  idInto(entry: number, target: Uint8Array, offset: number): void {
    assert(offset + idSizeBytes <= target.length, 'the id fits its target');
    const word = this.#blobs.firstOf(entry) * recordWords;
    const { records } = this.#blobs;
    for (let index = 0; index < 8; index++) {
      const value = records[word + index]!;
      const at = offset + index * 4;
      target[at] = value;
      target[at + 1] = value >>> 8;
      target[at + 2] = value >>> 16;
      target[at + 3] = value >>> 24;
    }
  }

  /** Writes the record of the blob, as `PackedBlobs` has it, to `words` at `at`. */
  recordInto(entry: number, words: Uint32Array, at: number): void {
    const word = this.#wordOf(entry);
    const idWord = this.#blobs.firstOf(entry) * recordWords;
    const { records } = this.#blobs;
    for (let index = 0; index < 8; index++) words[at + index] = records[idWord + index]!;
    for (let index = 8; index < 11; index++) words[at + index] = records[word + index]!;
    words[at + 11] = (records[word + 11]! & keyFlag) >>> 0;
  }

  /** A copy of the blob's id. */
  idOf(entry: number): Uint8Array<ArrayBuffer> {
    const id = new Uint8Array(idSizeBytes);
    this.idInto(entry, id, 0);
    return id;
  }

  /** Those of `records` that are not entries of `pack` yet. Looks at few copies of each, so it stays linear. */
  #notIn(pack: number, records: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
    const kept: number[] = [];
    for (let word = 0; word < records.length; word += recordWords) {
      this.#blobs.loadKeyWords(records, word);
      const copies = this.#blobs.findSome(records[word + 11]!, copiesComparedMax);
      const isKnown = copies.some(
        (entry) =>
          this.packOf(entry) === pack &&
          this.offsetOf(entry) === records[word + 8] &&
          this.lengthOf(entry) === records[word + 9],
      );
      if (!isKnown) kept.push(word);
    }
    const rest = new Uint32Array(kept.length * recordWords);
    for (const [index, word] of kept.entries()) {
      rest.set(records.subarray(word, word + recordWords), index * recordWords);
    }
    return rest;
  }

  #word(entry: number, index: number): number {
    // First: it may replace the view, which must not be read before.
    const word = this.#wordOf(entry);
    return this.#blobs.records[word + index]!;
  }

  #wordOf(entry: number): number {
    this.#blobs.reach(entry);
    return entry * recordWords;
  }
}

/** A digest of a pack's blobs that does not depend on their order. Tells equal lists, not secrets. */
function digestOf(records: Uint32Array): { readonly a: number; readonly b: number } {
  let a = 0;
  let b = 0;
  for (let word = 0; word < records.length; word += recordWords) {
    const place =
      Math.imul(records[word + 8]!, 0x9e3779b1) ^ Math.imul(records[word + 9]!, 0x85ebca6b);
    const kind = Math.imul(records[word + 10]!, 0xc2b2ae35) ^ records[word + 11]!;
    const mixed = Math.imul(records[word]! ^ place ^ kind, 0x27d4eb2f);
    a = (a + (mixed ^ (mixed >>> 15))) >>> 0;
    b = (b + Math.imul(mixed ^ records[word + 1]!, 0x165667b1)) >>> 0;
  }
  return { a, b };
}

function keyFlagOf(type: BlobType): number {
  return type === 'tree' ? keyFlag : 0;
}

function tableControl(control: SharedArrayBuffer, base: number): BlobTableControl {
  return { words: new Int32Array(control), base, seed: new Uint32Array(control, seedWord * 4, 8) };
}

function copyOfKey(
  records: Uint32Array<SharedArrayBuffer>,
  record: number,
): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new Uint8Array(records.buffer, record * recordSizeBytes, idSizeBytes));
}

function checkLocation(location: BlobLocation): void {
  assert(isUint32(location.offset), 'the offset of a blob fits 32 bits');
  assert(isUint32(location.length), 'the length of a blob fits 32 bits');
  assert(isUint32(location.uncompressedLength), 'the plain length of a blob fits 32 bits');
  assert(location.pack >= 0 && location.pack <= numberMask, 'the number of a pack fits 29 bits');
}

function isUint32(value: number): boolean {
  return value >= 0 && value <= 0xffff_ffff && Number.isInteger(value);
}
