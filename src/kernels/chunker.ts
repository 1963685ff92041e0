import type { Polynomial } from './polynomial.ts';

/** No chunk but the last of a file is shorter. */
export const chunkSizeBytesMin = 524288;
/** No chunk is longer. */
export const chunkSizeBytesMax = 8388608;
/** Bytes that a cut depends on. */
export const windowSizeBytes = 64;

/** Finds cuts in bytes that callers read straight into `buffer`. One instance per thread. */
export class ChunkScanner {
  /** View of the scanner's memory, `capacityBytes` long. */
  readonly buffer: Uint8Array<ArrayBuffer>;

  constructor(polynomial: Polynomial, capacityBytes: number) {
    void polynomial;
    this.buffer = new Uint8Array(capacityBytes);
  }

  /** Smallest position in `[from, to]` where a cut is possible; -1 if none. `from >= 64`. */
  firstCandidate(from: number, to: number): number {
    throw new Error(`not there yet ${from} ${to}`);
  }

  /** End of the chunk that starts at `start`; -1 if undecided. */
  nextCut(start: number, end: number, isLast: boolean): number {
    throw new Error(`not there yet ${start} ${end} ${isLast}`);
  }
}
