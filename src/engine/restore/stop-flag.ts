import { HoldfastError } from '../../base/errors.ts';

/** Tells threads amid their work that nobody wants it any more. */
export class StopFlag {
  readonly words: Int32Array<SharedArrayBuffer>;

  /** @param words of the flag of another thread */
  constructor(words?: Int32Array<SharedArrayBuffer>) {
    this.words = words ?? new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  }

  set(): void {
    Atomics.store(this.words, 0, 1);
  }

  /** @throws CANCELLED if it is set */
  throwIfSet(): void {
    if (Atomics.load(this.words, 0) !== 0) throw new HoldfastError('CANCELLED');
  }
}
