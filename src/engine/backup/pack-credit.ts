/**
 * Bounds how many finished packs of one worker wait to be stored.
 *
 * The worker takes a credit before it hands a pack over and sleeps while there is none; the main
 * thread gives it back once the pack is stored. Memory stays bounded however slow the storage is.
 */
export class PackCredit {
  readonly #cell: Int32Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer) {
    this.#cell = new Int32Array(buffer);
  }

  /** A shared cell that allows `packCount` packs in flight. */
  static create(packCount: number): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer(4);
    new Int32Array(buffer)[0] = packCount;
    return buffer;
  }

  /** Takes one credit; blocks the calling thread until there is one. Never on the main thread. */
  take(): void {
    for (;;) {
      const free = Atomics.load(this.#cell, 0);
      if (free <= 0) Atomics.wait(this.#cell, 0, free);
      else if (Atomics.compareExchange(this.#cell, 0, free, free - 1) === free) return;
    }
  }

  give(): void {
    Atomics.add(this.#cell, 0, 1);
    Atomics.notify(this.#cell, 0);
  }
}
