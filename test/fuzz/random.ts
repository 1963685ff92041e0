/** Choices that follow from a seed alone, the same on every machine: splitmix32. */
export class FuzzRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number of at least 0 and below 2^32. */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let x = this.#state;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return (x ^ (x >>> 15)) >>> 0;
  }

  /** A whole number below `limit`; 0 if the limit is not positive. */
  below(limit: number): number {
    return limit > 0 ? this.next() % limit : 0;
  }

  /** True once in `count` times. */
  oneIn(count: number): boolean {
    return this.below(count) === 0;
  }

  pick<T>(from: readonly T[]): T {
    const picked = from[this.below(from.length)];
    if (picked === undefined) throw new Error('there is nothing to pick from');
    return picked;
  }

  /** Mostly small, at times up to `max`. */
  small(max: number): number {
    return this.below(1 + this.below(1 + this.below(max + 1)));
  }

  bytes(sizeBytes: number): Uint8Array<ArrayBuffer> {
    return Uint8Array.from({ length: sizeBytes }, () => this.next());
  }
}
