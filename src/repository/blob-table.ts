import { assert } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import { recordSizeBytes, recordWords } from './blob.ts';

/** Word of a record that holds flags and number. */
const flagsWord = 11;
/** Key bit of a record: records that differ in it are different keys. */
export const keyFlag = 0x8000_0000;
/** Mark of a record whose location is not known yet. */
export const pendingFlag = 0x4000_0000;
/** Mark of a further record of a known key: word 0 is the key's first record, word 1 the one before it. */
export const repeatFlag = 0x2000_0000;
/** Bits of the flags word that belong to the owner of the table. */
export const numberMask = 0x1fff_ffff;

const recordCountMax = 2 ** 29;
const recordCountMin = 1 << 10;
const slotBitsMin = 11;
const slotBitsMax = 30;
/** Below 2^this slots, 16 MiB, a table grows fourfold: it is rebuilt less often. */
const slotBitsFast = 21;
/** Slots in use above which the table grows: at this load a failed search reads 3 slots on average. */
const loadMax = 0.65;

/** Keys whose slots `appendAll` reads ahead. */
const aheadCount = 256;

/** The words of the shared control block that one table uses, counted from its base. */
const countWord = 0;
const capacityWord = 1;
const slotBitsWord = 2;
const generationWord = 3;
/** How many different keys the records have. */
const keyCountWord = 4;
/** Words of control block that one table takes. */
export const tableControlWords = 5;

/** Memory of one table; can be posted to other threads. */
export interface BlobTableShare {
  /** Dense records, growable in place. */
  readonly records: SharedArrayBuffer;
  /** Open-addressing slots, growable in place: record number + 1 below, rest of the hash above. */
  readonly slots: SharedArrayBuffer;
}

/** Where a table keeps its counters: `words` from `base` on, and the eight secret words of its hash. */
export interface BlobTableControl {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly base: number;
  /** Random words: whoever chooses ids cannot choose their places. */
  readonly seed: Uint32Array<SharedArrayBuffer>;
}

/**
 * A hash table of 48-byte records with 32-byte keys, in memory that all threads share.
 *
 * Records are dense, numbered from 0 and never move; their key never changes. Slots are rebuilt in place when they
 * fill up, under an odd generation. Searching takes no lock: it is repeated when the generation has changed meanwhile.
 * Everything that changes the table must be called with the owner's mutex held.
 */
export class BlobTable {
  /** Fixed-length views: those that track a growing buffer are several times slower. */
  records: Uint32Array<SharedArrayBuffer>;
  readonly #share: BlobTableShare;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #base: number;
  readonly #seed: Uint32Array<ArrayBuffer>;
  readonly #key = new Uint32Array(8);
  readonly #ahead = new Int32Array(aheadCount + 1);
  #hash = 0;
  #slots: Int32Array<SharedArrayBuffer>;
  #slotBits: number;
  #generation: number;

  constructor(share: BlobTableShare, control: BlobTableControl) {
    this.#share = share;
    this.#words = control.words;
    this.#base = control.base;
    this.#seed = new Uint32Array(control.seed);
    this.records = new Uint32Array(share.records, 0, 0);
    this.#slots = new Int32Array(share.slots, 0, 0);
    this.#slotBits = 0;
    // Odd: no stable generation, so the first search that fails makes the views.
    this.#generation = -1;
  }

  /** Memory for a table, and its counters in `control`. */
  static allocate(
    control: BlobTableControl,
    expected: { readonly count: number; readonly slotBits?: number | undefined },
  ): BlobTableShare {
    const count = Math.max(recordCountMin, expected.count);
    const slotBits = expected.slotBits ?? slotBitsFor(count);
    Atomics.store(control.words, control.base + capacityWord, count);
    Atomics.store(control.words, control.base + slotBitsWord, slotBits);
    return {
      records: growable(count * recordSizeBytes, recordCountMax * recordSizeBytes),
      slots: growable(2 ** slotBits * 4, 2 ** slotBitsMax * 4),
    };
  }

  share(): BlobTableShare {
    return this.#share;
  }

  get count(): number {
    return Atomics.load(this.#words, this.#base + countWord);
  }

  /** Takes the key of the next call from 32 bytes. */
  loadKey(bytes: Uint8Array, offset: number): void {
    assert(offset >= 0 && offset + 32 <= bytes.length, 'an id has 32 bytes');
    const key = this.#key;
    let at = offset;
    for (let word = 0; word < 8; word++) {
      key[word] =
        bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      at += 4;
    }
    this.#hash = this.#hashOf(key, 0);
  }

  /** Takes the key of the next call from 8 words. */
  loadKeyWords(words: Uint32Array, offset: number): void {
    const key = this.#key;
    for (let word = 0; word < 8; word++) key[word] = words[offset + word]!;
    this.#hash = this.#hashOf(key, 0);
  }

  /**
   * First record of the loaded key with key bit `flags`, or -1. Needs no lock.
   *
   * A record never changes its key, so whatever slots lead to it, a match is right; only a failure must be made sure.
   */
  find(flags: number): number {
    const fast = this.findFast(flags);
    if (fast >= 0) return fast;
    for (;;) {
      const generation = this.#stableGeneration();
      const record = this.#recordAt(this.#probe(flags));
      if (record >= 0) return this.#firstOf(record);
      if (Atomics.load(this.#words, this.#base + generationWord) === generation) return -1;
    }
  }

  /** As `find`, but may miss what another thread changes just now. Atomic loads would make it twice as slow. */
  findFast(flags: number): number {
    const record = this.#recordAt(this.#probePlain(flags));
    return record < 0 ? -1 : this.#firstOf(record);
  }

  /** All records of the loaded key, first to last. Needs no lock. */
  findAll(flags: number): number[] {
    return this.findSome(flags, Number.POSITIVE_INFINITY);
  }

  /** As `findAll`, but only the latest `countMax`. */
  findSome(flags: number, countMax: number): number[] {
    for (;;) {
      const generation = this.#stableGeneration();
      let record = this.#recordAt(this.#probe(flags));
      if (Atomics.load(this.#words, this.#base + generationWord) !== generation) continue;
      const found: number[] = [];
      for (; record >= 0 && found.length < countMax; record = this.#before(record)) {
        found.push(record);
      }
      return found.toReversed();
    }
  }

  /**
   * Adds a record with the loaded key and returns its number. The caller holds the mutex.
   * `flags` are key bit, marks and the owner's number; words 8 to 10 are `a`, `b`, `c`.
   */
  append(flags: number, a: number, b: number, c: number): number {
    const record = this.count;
    this.#reserveRecords(1);
    this.#reserveSlots(1);
    const word = record * recordWords;
    this.records[word + 8] = a;
    this.records[word + 9] = b;
    this.records[word + 10] = c;
    this.#write(record, flags);
    Atomics.store(this.#words, this.#base + countWord, record + 1);
    return record;
  }

  /**
   * Appends many records at once: `source` holds whole ones, to whose flags `number` is added. The caller holds the
   * mutex. Places of some hundred keys are looked at together before they are needed, which hides much of the time
   * that memory takes to answer.
   */
  appendAll(source: Uint32Array, number: number): void {
    const first = this.count;
    const count = source.length / recordWords;
    this.#reserveRecords(count);
    this.#reserveSlots(count);
    this.records.set(source, first * recordWords);
    for (let start = 0; start < count; start += aheadCount) {
      const end = Math.min(count, start + aheadCount);
      this.#lookAhead(source, start, end);
      for (let index = start; index < end; index++) {
        const word = index * recordWords;
        for (let k = 0; k < 8; k++) this.#key[k] = source[word + k]!;
        this.#hash = this.#ahead[index - start]!;
        this.#write(first + index, source[word + flagsWord]! + number);
      }
    }
    Atomics.store(this.#words, this.#base + countWord, first + count);
  }

  /** Completes a new record, whose words 8 to 10 are there, with the loaded key, and lets it be found. */
  #write(record: number, flags: number): void {
    const { records } = this;
    const word = record * recordWords;
    const position = this.#probePlain(flags);
    if (position < 0) {
      for (let index = 0; index < 8; index++) records[word + index] = this.#key[index]!;
      this.#addKeys(1);
    } else {
      const latest = this.#recordAt(position);
      records[word] = this.#firstOf(latest);
      records[word + 1] = latest;
    }
    records[word + flagsWord] = (position < 0 ? flags : flags | repeatFlag) >>> 0;
    // The slot is stored last and atomically: who sees it also sees the record.
    Atomics.store(this.#slots, position < 0 ? -1 - position : position, this.#slotOf(record));
  }

  /**
   * Appends records as another table with the same seed held them, at the same numbers, each with a key of its own, and
   * lets them be found. The caller holds the mutex. Nothing is compared: what comes from outside must be authentic.
   */
  adopt(source: Uint32Array): void {
    const first = this.count;
    this.#reserveSlots(source.length / recordWords);
    this.adoptRecords(source);
    this.#placeAll(first, this.count);
    this.#addKeys(this.count - first);
  }

  /** As `adopt`, but they are found only once `adoptSlots` has brought all slots of that table. */
  adoptRecords(source: Uint32Array): void {
    const first = this.count;
    const end = first + source.length / recordWords;
    this.#reserveRecords(end - first);
    this.records.set(source, first * recordWords);
    Atomics.store(this.#words, this.#base + countWord, end);
  }

  /** Takes over slots of another table with the same seed, records and number of slots. The caller holds the mutex. */
  adoptSlots(source: Uint32Array, first: number): void {
    this.#stableGeneration();
    assert(first + source.length <= this.#slots.length, 'the tables have the same number of slots');
    this.#slots.set(source, first);
    let keyCount = 0;
    for (let slot = 0; slot < source.length; slot++) if (source[slot] !== 0) keyCount++;
    this.#addKeys(keyCount);
  }

  /** A copy of the slots `[start, end)`. */
  copySlots(start: number, end: number): Uint32Array<ArrayBuffer> {
    this.#stableGeneration();
    assert(end <= this.#slots.length, 'the table has these slots');
    return new Uint32Array(this.#slots.subarray(start, end));
  }

  /** The table has 2^this slots. */
  get slotBits(): number {
    return Atomics.load(this.#words, this.#base + slotBitsWord);
  }

  /** Enters existing records `[first, end)` into the slots. */
  #placeAll(first: number, end: number): void {
    for (let start = first; start < end; start += aheadCount) {
      const stop = Math.min(end, start + aheadCount);
      this.#lookAhead(this.records, start, stop);
      for (let record = start; record < stop; record++) {
        this.#place(record, this.#ahead[record - start]!);
      }
    }
  }

  #lookAhead(source: Uint32Array, start: number, end: number): void {
    const slots = this.#slots;
    const shift = 32 - this.#slotBits;
    let seen = 0;
    for (let index = start; index < end; index++) {
      const hash = this.#hashOf(source, index * recordWords);
      this.#ahead[index - start] = hash;
      seen |= slots[hash >>> shift]!;
    }
    // Stored so that the reads are not optimised away.
    this.#ahead[aheadCount] = seen;
  }

  #addKeys(count: number): void {
    Atomics.add(this.#words, this.#base + keyCountWord, count);
  }

  /** Makes room for so many more records. The caller holds the mutex. */
  #reserveRecords(more: number): void {
    const count = this.count + more;
    const capacity = Atomics.load(this.#words, this.#base + capacityWord);
    if (count > capacity) {
      const target = Math.min(
        recordCountMax,
        Math.max(count, capacity + Math.min(capacity, 2 ** 22)),
      );
      if (count > recordCountMax) throw tooLarge(count);
      grow(this.#share.records, target * recordSizeBytes);
      Atomics.store(this.#words, this.#base + capacityWord, target);
    }
    if (this.records.length < count * recordWords) this.#refreshRecords();
  }

  /**
   * Makes room in the slots for so many more records. Those of one key share a slot, so what is stored anew takes none; but
   * the number of every record must fit a slot. The caller holds the mutex.
   */
  #reserveSlots(more: number): void {
    this.#stableGeneration();
    let slotBits = this.#slotBits;
    const count = this.count + more;
    const keyCount = Atomics.load(this.#words, this.#base + keyCountWord) + more;
    while (2 ** slotBits * loadMax < keyCount || 2 ** slotBits <= count) {
      slotBits += slotBits < slotBitsFast ? 2 : 1;
    }
    if (slotBits > slotBitsMax) throw tooLarge(count);
    if (slotBits > this.#slotBits) this.#rebuild(slotBits);
  }

  /** Makes sure that the views of this thread reach `record`. */
  reach(record: number): void {
    if ((record + 1) * recordWords <= this.records.length) return;
    this.#refreshRecords();
    const isThere = record >= 0 && (record + 1) * recordWords <= this.records.length;
    assert(isThere, 'the blob index has this entry');
  }

  /** First record of the key of `record`. */
  firstOf(record: number): number {
    this.reach(record);
    return this.#firstOf(record);
  }

  #firstOf(record: number): number {
    const word = record * recordWords;
    const flags = this.records[word + flagsWord]!;
    return (flags & repeatFlag) === 0 ? record : this.records[word]!;
  }

  #before(record: number): number {
    this.reach(record);
    const word = record * recordWords;
    const flags = this.records[word + flagsWord]!;
    return (flags & repeatFlag) === 0 ? -1 : this.records[word + 1]!;
  }

  #hashOf(words: Uint32Array, at: number): number {
    const seed = this.#seed;
    let hash = 0;
    for (let word = 0; word < 8; word++) {
      hash = (hash + Math.imul(words[at + word]!, seed[word]!)) | 0;
    }
    return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  }

  /** Position of the slot that leads to the loaded key, or -1 - position of the free slot where it belongs. */
  #probe(flags: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const bits = this.#slotBits;
    const tag = (this.#hash << bits) >>> bits;
    let position = this.#hash >>> (32 - bits);
    for (let step = 0; step <= mask; step++) {
      const slot = Atomics.load(slots, position);
      if (slot === 0) return -1 - position;
      if (slot >>> bits === tag && this.#matches((slot & mask) - 1, flags)) return position;
      position = (position + 1) & mask;
    }
    // Only while another thread rebuilds the slots; the caller then tries again.
    return -1;
  }

  /** As `#probe`, with plain loads: exact while the caller holds the mutex. */
  #probePlain(flags: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    const bits = this.#slotBits;
    const tag = (this.#hash << bits) >>> bits;
    let position = this.#hash >>> (32 - bits);
    for (let step = 0; step <= mask; step++) {
      const slot = slots[position]!;
      if (slot === 0) return -1 - position;
      if (slot >>> bits === tag && this.#matches((slot & mask) - 1, flags)) return position;
      position = (position + 1) & mask;
    }
    return -1;
  }

  #matches(candidate: number, flags: number): boolean {
    if ((candidate + 1) * recordWords > this.records.length) this.#refreshRecords();
    const records = this.records;
    const own = records[candidate * recordWords + flagsWord]!;
    if (((own ^ flags) & keyFlag) !== 0) return false;
    const word =
      ((own & repeatFlag) === 0 ? candidate : records[candidate * recordWords]!) * recordWords;
    const key = this.#key;
    for (let index = 0; index < 8; index++) {
      if (records[word + index] !== key[index]) return false;
    }
    return true;
  }

  /** The record that the slot at `position` leads to, or -1 for a negative position. */
  #recordAt(position: number): number {
    if (position < 0) return -1;
    return (Atomics.load(this.#slots, position) & (this.#slots.length - 1)) - 1;
  }

  #slotOf(record: number): number {
    const tag = (this.#hash << this.#slotBits) >>> this.#slotBits;
    return (tag << this.#slotBits) | (record + 1);
  }

  /** Puts every record into 2^slotBits slots. Searches meanwhile see the odd generation and wait. */
  #rebuild(slotBits: number): void {
    const count = this.count;
    const generation = this.#generation;
    Atomics.store(this.#words, this.#base + generationWord, generation + 1);
    grow(this.#share.slots, 2 ** slotBits * 4);
    this.#slots.fill(0);
    Atomics.store(this.#words, this.#base + slotBitsWord, slotBits);
    this.#slotBits = slotBits;
    this.#slots = new Int32Array(this.#share.slots, 0, 2 ** slotBits);
    const saved = this.#key.slice();
    this.#placeAll(0, count);
    this.#key.set(saved);
    this.#hash = this.#hashOf(saved, 0);
    this.#generation = (generation + 2) | 0;
    Atomics.store(this.#words, this.#base + generationWord, this.#generation);
    Atomics.notify(this.#words, this.#base + generationWord);
  }

  /** Enters one existing record. Records come in order, so a repeat replaces the one before it. */
  #place(record: number, hash: number): void {
    const records = this.records;
    const flags = records[record * recordWords + flagsWord]!;
    const slots = this.#slots;
    if ((flags & repeatFlag) !== 0) {
      const first = records[record * recordWords]!;
      assert(first < record, 'a repeated blob follows its first entry');
      this.loadKeyWords(records, first * recordWords);
      const position = this.#probePlain(flags);
      assert(position >= 0, 'a repeated blob follows its first entry');
      slots[position] = this.#slotOf(record);
      return;
    }
    this.#hash = hash;
    const mask = slots.length - 1;
    let position = hash >>> (32 - this.#slotBits);
    while (slots[position] !== 0) position = (position + 1) & mask;
    slots[position] = this.#slotOf(record);
  }

  /** The even generation that the views of this thread belong to; waits while slots are rebuilt. */
  #stableGeneration(): number {
    const index = this.#base + generationWord;
    let generation = Atomics.load(this.#words, index);
    if (generation === this.#generation && (generation & 1) === 0) return generation;
    while ((generation & 1) !== 0) {
      Atomics.wait(this.#words, index, generation, 1000);
      generation = Atomics.load(this.#words, index);
    }
    this.#refreshSlots();
    return this.#stableGeneration();
  }

  #refreshSlots(): void {
    this.#generation = Atomics.load(this.#words, this.#base + generationWord);
    this.#slotBits = Atomics.load(this.#words, this.#base + slotBitsWord);
    this.#slots = new Int32Array(this.#share.slots, 0, 2 ** this.#slotBits);
  }

  #refreshRecords(): void {
    const capacity = Atomics.load(this.#words, this.#base + capacityWord);
    this.records = new Uint32Array(this.#share.records, 0, capacity * recordWords);
  }
}

/** Slots for so many keys, as a power of 2. */
function slotBitsFor(keyCount: number): number {
  let slotBits = slotBitsMin;
  while (slotBits < slotBitsMax && 2 ** slotBits * loadMax < keyCount) slotBits++;
  return slotBits;
}

/** Reserves address space for `sizeBytesMax`, or for the largest part of it that the system grants. */
function growable(sizeBytes: number, sizeBytesMax: number): SharedArrayBuffer {
  for (let limit = sizeBytesMax; ; limit = Math.floor(limit / 2)) {
    try {
      return new SharedArrayBuffer(sizeBytes, { maxByteLength: Math.max(limit, sizeBytes) });
    } catch (cause) {
      if (limit <= sizeBytes) throw new HoldfastError('ASSERTION_FAILED', { cause });
    }
  }
}

function grow(buffer: SharedArrayBuffer, sizeBytes: number): void {
  if (sizeBytes <= buffer.byteLength) return;
  try {
    buffer.grow(sizeBytes);
  } catch (cause) {
    throw new HoldfastError('UNSUPPORTED', {
      message: 'there is not enough memory for the blob index',
      details: { sizeBytes },
      cause,
    });
  }
}

function tooLarge(count: number): HoldfastError {
  return new HoldfastError('UNSUPPORTED', {
    message: 'the index holds more blobs than this program can keep in memory',
    details: { count },
  });
}
