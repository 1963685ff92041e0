import { assert } from '../../base/assert.ts';

/** Finished packs that may be on their way to the storage at once, where memory allows. */
const packsAheadMax = 5;
const packsAheadMin = 2;
/** Memory reserved for packs, of which the system commits what is used. */
const slotsSizeBytesMax: number = 1 << 30;

/** Threads whose packs fit the memory that is kept for packs, one at least: each fills one of each type. */
export function threadsWithSlots(slotSizeBytes: number): number {
  return Math.max(1, Math.floor((slotsSizeBytesMax / slotSizeBytes - packsAheadMin) / 2));
}

/** Memory for packs that all threads of a backup see; can be posted to workers. */
export interface PackSlotsShare {
  /** One Int32 a slot: 1 while it is taken; and one more that counts how often a slot became free. */
  readonly states: SharedArrayBuffer;
  readonly slots: readonly SharedArrayBuffer[];
}

/**
 * A fixed number of buffers for packs, used again and again.
 *
 * A worker fills one and hands it over by number; the main thread frees it once the pack is stored. A
 * worker that finds none waits. Memory stays bounded however slow the storage is, and no pack costs
 * fresh memory: page faults and collections took a third of the time of a first backup.
 */
export class PackSlots {
  readonly #share: PackSlotsShare;
  readonly #states: Int32Array;
  readonly #freedWord: number;

  constructor(share: PackSlotsShare) {
    this.#share = share;
    this.#states = new Int32Array(share.states);
    this.#freedWord = share.slots.length;
  }

  /** Reserves memory; the system commits it as it is first written to. */
  static create(count: number, sizeBytes: number): PackSlots {
    const slots = Array.from({ length: count }, () => new SharedArrayBuffer(sizeBytes));
    return new PackSlots({ states: new SharedArrayBuffer(4 * (count + 1)), slots });
  }

  /** For so many threads. The first free one is taken, so that the last ones cost no memory unless the storage is slow. */
  static forThreads(threadCount: number, slotSizeBytes: number): PackSlots {
    const ahead = Math.floor(slotsSizeBytesMax / slotSizeBytes) - 2 * threadCount;
    const count = Math.min(packsAheadMax, Math.max(packsAheadMin, ahead));
    return PackSlots.create(2 * threadCount + count, slotSizeBytes);
  }

  get share(): PackSlotsShare {
    return this.#share;
  }

  /** A free slot, now taken; blocks the calling thread until there is one. Never on the main thread. */
  take(): Uint8Array<SharedArrayBuffer> {
    for (;;) {
      const freed = Atomics.load(this.#states, this.#freedWord);
      for (const [slot, buffer] of this.#share.slots.entries()) {
        if (Atomics.compareExchange(this.#states, slot, 0, 1) === 0) return new Uint8Array(buffer);
      }
      Atomics.wait(this.#states, this.#freedWord, freed);
    }
  }

  /** Number of the slot that `bytes` lie in, or -1. */
  slotOf(bytes: Uint8Array): number {
    return this.#share.slots.findIndex((slot) => slot === bytes.buffer);
  }

  /** The first `sizeBytes` bytes of a slot. */
  bytesOf(slot: number, sizeBytes: number): Uint8Array {
    const buffer = this.#share.slots[slot];
    assert(buffer, 'a slot has a number');
    return new Uint8Array(buffer, 0, sizeBytes);
  }

  /** Gives a slot back. Its bytes must not be used any more. */
  free(slot: number): void {
    assert(Atomics.exchange(this.#states, slot, 0) === 1, 'a slot is freed once');
    Atomics.add(this.#states, this.#freedWord, 1);
    Atomics.notify(this.#states, this.#freedWord);
  }
}
