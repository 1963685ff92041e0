import { HoldfastError } from '../base/errors.ts';

const free = 0;
const held = 1;
const contended = 2;

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
    for (let spin = 0; spin < 100; spin++) {
      if (Atomics.compareExchange(words, index, free, held) === free) return;
    }
    while (Atomics.exchange(words, index, contended) !== free) {
      if (Atomics.wait(words, index, contended, waitMsMax) === 'timed-out') {
        throw new HoldfastError('WORKER_FAILED', {
          message: 'a thread stopped while it changed the blob index',
        });
      }
    }
  }

  unlock(): void {
    if (Atomics.exchange(this.#words, this.#index, free) === contended) {
      Atomics.notify(this.#words, this.#index, 1);
    }
  }
}
