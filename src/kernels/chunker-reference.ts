import { chunkSizeBytesMax, chunkSizeBytesMin, windowSizeBytes } from './chunk-limits.ts';
import { chunkTables, type Polynomial } from './polynomial.ts';

const splitMask = 2 ** 20 - 1;

/**
 * The rolling fingerprint, byte by byte, in 32-bit halves: slow (200 MB/s) and plain.
 * @see docs/FORMAT.md#chunker
 */
export class ReferenceFingerprint {
  readonly #outHigh: Int32Array;
  readonly #outLow: Int32Array;
  readonly #modHigh: Int32Array;
  readonly #modLow: Int32Array;
  #high = 0;
  #low = 0;

  constructor(polynomial: Polynomial) {
    const { out, mod } = chunkTables(polynomial);
    this.#outHigh = Int32Array.from(out, (entry) => Number(entry >> 32n));
    this.#outLow = Int32Array.from(out, (entry) => Number(BigInt.asIntN(32, entry)));
    this.#modHigh = Int32Array.from(mod, (entry) => Number(entry >> 32n));
    this.#modLow = Int32Array.from(mod, (entry) => Number(BigInt.asIntN(32, entry)));
  }

  /** Starts with an empty window: all zero. */
  reset(): void {
    this.#high = 0;
    this.#low = 0;
  }

  /** Moves the window on: `incoming` enters, `outgoing` leaves. */
  roll(incoming: number, outgoing: number): void {
    const high = this.#high ^ this.#outHigh[outgoing]!;
    const low = this.#low ^ this.#outLow[outgoing]!;
    const overflow = high >>> 13;
    this.#high = ((high << 8) | (low >>> 24)) ^ this.#modHigh[overflow]!;
    this.#low = ((low << 8) | incoming) ^ this.#modLow[overflow]!;
  }

  /** True if a cut may follow the last byte. */
  get isCandidate(): boolean {
    return (this.#low & splitMask) === 0;
  }

  /** Lower-case hex without padding. */
  toString(): string {
    return ((BigInt(this.#high) << 32n) | BigInt(this.#low >>> 0)).toString(16);
  }
}

/** What `ChunkScanner.firstCandidate` must return. */
export function referenceFirstCandidate(
  bytes: Uint8Array,
  polynomial: Polynomial,
  range: { readonly from: number; readonly to: number },
): number {
  const fingerprint = new ReferenceFingerprint(polynomial);
  for (let i = range.from - windowSizeBytes; i < range.to; i++) {
    const isWarm = i >= range.from;
    fingerprint.roll(bytes[i]!, isWarm ? bytes[i - windowSizeBytes]! : 0);
    if (i + 1 >= range.from && fingerprint.isCandidate) return i + 1;
  }
  return -1;
}

/** Ends of all chunks of `bytes`, a whole file. */
export function referenceCuts(bytes: Uint8Array, polynomial: Polynomial): number[] {
  const cuts: number[] = [];
  let start = 0;
  while (start < bytes.length) {
    const limit = Math.min(start + chunkSizeBytesMax, bytes.length);
    const from = start + chunkSizeBytesMin;
    const hit =
      from <= limit ? referenceFirstCandidate(bytes, polynomial, { from, to: limit }) : -1;
    start = hit >= 0 ? hit : limit;
    cuts.push(start);
  }
  return cuts;
}
