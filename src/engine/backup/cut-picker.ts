import { assert } from '../../base/assert.ts';
import { chunkSizeBytesMax, chunkSizeBytesMin } from '../../kernels/chunker.ts';

/** Finds the first candidate in `[from, to]` of the file, or -1. */
export type GapScan = (range: { readonly from: number; readonly to: number }) => number;

/**
 * Picks the true cuts of one large file from spans that were scanned out of order by several threads.
 *
 * Spans are added in file order. What a span's scan skipped is looked at by `scanGap`, at most the
 * minimum chunk size at a time.
 */
export class CutPicker {
  readonly #sizeBytes: number;
  readonly #scanGap: GapScan;
  readonly #covered: number[] = [];
  readonly #candidates: number[] = [];
  #coveredAt = 0;
  #candidateAt = 0;
  #knownEnd = 0;
  #chunkStart = 0;
  /** Where to go on looking for the end of the chunk that is undecided. */
  #from = chunkSizeBytesMin;

  constructor(sizeBytes: number, scanGap: GapScan) {
    this.#sizeBytes = sizeBytes;
    this.#scanGap = scanGap;
  }

  /** Start of the first chunk whose end is not decided. */
  get chunkStart(): number {
    return this.#chunkStart;
  }

  /** Adds the next span, which ends at `end`. */
  addSpan(
    end: number,
    found: { readonly covered: ArrayLike<number>; readonly candidates: ArrayLike<number> },
  ): void {
    assert(end > this.#knownEnd, 'spans are added in file order');
    for (let i = 0; i < found.covered.length; i++) this.#covered.push(found.covered[i] ?? 0);
    for (let i = 0; i < found.candidates.length; i++) {
      this.#candidates.push(found.candidates[i] ?? 0);
    }
    this.#knownEnd = end;
  }

  /** Ends of all chunks that the spans so far decide, in order. */
  takeCuts(): number[] {
    const cuts: number[] = [];
    while (this.#chunkStart < this.#sizeBytes) {
      const cut = this.#nextCut();
      if (cut < 0) break;
      cuts.push(cut);
      this.#chunkStart = cut;
      this.#from = cut + chunkSizeBytesMin;
    }
    return cuts;
  }

  #nextCut(): number {
    const limit = Math.min(this.#chunkStart + chunkSizeBytesMax, this.#sizeBytes);
    const scanEnd = Math.min(limit, this.#knownEnd);
    while (this.#from <= scanEnd) {
      const step = this.#look(this.#from, scanEnd);
      if (step.cut >= 0) return step.cut;
      this.#from = step.next;
    }
    return this.#knownEnd >= limit ? limit : -1;
  }

  /** Looks from `from` to the end of the covered stretch, or of the gap, that it lies in. */
  #look(from: number, scanEnd: number): { cut: number; next: number } {
    while (this.#coveredAt < this.#covered.length && this.#coveredEnd() < from)
      this.#coveredAt += 2;
    const coveredFrom = this.#covered[this.#coveredAt] ?? Infinity;
    if (from < coveredFrom) {
      const to = Math.min(coveredFrom - 1, scanEnd);
      return { cut: this.#scanGap({ from, to }), next: to + 1 };
    }
    const to = Math.min(this.#coveredEnd(), scanEnd);
    while (this.#nextCandidate() < from) this.#candidateAt++;
    const candidate = this.#nextCandidate();
    return { cut: candidate <= to ? candidate : -1, next: to + 1 };
  }

  #coveredEnd(): number {
    return this.#covered[this.#coveredAt + 1] ?? Infinity;
  }

  #nextCandidate(): number {
    return this.#candidates[this.#candidateAt] ?? Infinity;
  }
}
