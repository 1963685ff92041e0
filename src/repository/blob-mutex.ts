import { HoldfastError } from '../base/errors.ts';

const free = 0;
const held = 1;
const contended = 2;
const abandoned = 3;

/** Longer than any section it guards: growing the largest table takes seconds. */
const waitMsMax = 120_000;

/**
 * A lock between threads in one word of shared memory. Not reentrant; blocks the thread.
 * @see U. Drepper, "Futexes Are Tricky" (2011), mutex 2
 */
export class SharedMutex {
  readonly #words: Int32Array;
  readonly #index: number;

  constructor(words: Int32Array<SharedArrayBuffer>, index: number) {
    this.#words = words;
    this.#index = index;
  }

  /** @throws WORKER_FAILED when the holder does not let go, as after the death of its thread */
  lock(): void {
    const words = this.#words;
    const index = this.#index;
    let state = held;
    for (let spin = 0; spin < 100; spin++) {
      state = Atomics.compareExchange(words, index, free, held);
      if (state === free) return;
    }
    while (state !== free) {
      if (state === abandoned) throw holderGone();
      if (state === contended || Atomics.compareExchange(words, index, held, contended) !== free) {
        if (Atomics.wait(words, index, contended, waitMsMax) === 'timed-out') throw holderGone();
      }
      state = Atomics.compareExchange(words, index, free, contended);
    }
  }

  unlock(): void {
    if (Atomics.exchange(this.#words, this.#index, free) === contended) {
      Atomics.notify(this.#words, this.#index, 1);
    }
  }

  /**
   * Says that every thread that could hold the lock has ended: if it is held, its holder was stopped in the middle of
   * a change, and whoever wants it is told so at once.
   */
  abandon(): void {
    const state = Atomics.load(this.#words, this.#index);
    if (state === free) return;
    Atomics.store(this.#words, this.#index, abandoned);
    Atomics.notify(this.#words, this.#index);
  }
}

function holderGone(): HoldfastError {
  return new HoldfastError('WORKER_FAILED', {
    message: 'a thread stopped while it changed the blob index',
  });
}
