import type { DataRange } from '../../platform/holes.ts';

/** Where a sparse file has holes, for positions that are asked for in about ascending order. */
export class HoleMap {
  readonly #data: readonly DataRange[];
  readonly #sizeBytes: number;
  #at = 0;

  /** @param data all runs of data, in order */
  constructor(data: readonly DataRange[], sizeBytes: number) {
    this.#data = data;
    this.#sizeBytes = sizeBytes;
  }

  /** True if nothing but a hole lies in `[start, end)`. */
  isHole(start: number, end: number): boolean {
    if (end > this.#sizeBytes) return false;
    // The first run that ends behind `start`; it is the only one that may reach into the range first.
    while (this.#at > 0 && (this.#data[this.#at - 1]?.end ?? 0) > start) this.#at--;
    while ((this.#data[this.#at]?.end ?? Infinity) <= start) this.#at++;
    return (this.#data[this.#at]?.start ?? Infinity) >= end;
  }
}
