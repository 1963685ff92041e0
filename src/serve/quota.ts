import { Refusal } from './refusal.ts';

/** How many bytes all repositories may have together. What comes in takes its room before it is written. */
export class Quota {
  readonly #sizeBytesMax: number;
  #usedBytes: number;

  /** @param sizeBytesMax Infinity for no limit */
  constructor(sizeBytesMax: number, usedBytes: number) {
    this.#sizeBytesMax = sizeBytesMax;
    this.#usedBytes = usedBytes;
  }

  /** Bytes stored or coming in. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  get sizeBytesMax(): number {
    return this.#sizeBytesMax;
  }

  /** Takes room. @throws Refusal 507 if there is not so much left */
  take(sizeBytes: number): void {
    if (this.#usedBytes + sizeBytes > this.#sizeBytesMax) {
      throw new Refusal(507, 'the limit of this server (--max-size) would be exceeded');
    }
    this.#usedBytes += sizeBytes;
  }

  /** Gives room back. */
  give(sizeBytes: number): void {
    this.#usedBytes = Math.max(0, this.#usedBytes - sizeBytes);
  }
}
