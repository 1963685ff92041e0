import type { ChunkScanner } from '../../kernels/chunker.ts';
import { chunkSizeBytesMax, chunkSizeBytesMin, windowSizeBytes } from '../../kernels/chunker.ts';
import { HoldfastError } from '../../base/errors.ts';
import { readAt } from '../../platform/files.ts';

/** Bytes scanned with one read. */
const scanStepBytes = 1 << 20;

/** Places where cuts may fall within a span, and which positions were looked at. */
export interface SpanCandidates {
  /** Pairs [from, to], both inclusive, ascending: every position in them was looked at. */
  readonly covered: number[];
  /** Ascending positions whose window allows a cut. */
  readonly candidates: number[];
}

/**
 * Scans one span of a large file for places to cut, guessing that a chunk starts at its start.
 *
 * The guess lets the scan skip the minimum size after each candidate, as cutting in order would.
 * It is wrong for most spans, but the true cuts meet the guessed ones after a chunk or two, since
 * both follow the same content; `CutPicker` fills in what is missing.
 */
export function scanSpan(
  scanner: ChunkScanner,
  span: { readonly fd: number; readonly start: number; readonly end: number },
): SpanCandidates {
  const result: SpanCandidates = { covered: [], candidates: [] };
  let chunkStart = span.start;
  while (chunkStart + chunkSizeBytesMin <= span.end) {
    const from = chunkStart + chunkSizeBytesMin;
    const to = Math.min(chunkStart + chunkSizeBytesMax, span.end);
    const cut = firstCandidateIn(scanner, span.fd, { from, to });
    result.covered.push(from, cut < 0 ? to : cut);
    if (cut >= 0) result.candidates.push(cut);
    chunkStart = cut < 0 ? to : cut;
  }
  return result;
}

/** The first position in `[from, to]` of an open file where a cut may fall, or -1. */
export function firstCandidateIn(
  scanner: ChunkScanner,
  fd: number,
  range: { readonly from: number; readonly to: number },
): number {
  for (let from = range.from; from <= range.to; ) {
    const to = Math.min(from + scanStepBytes - 1, range.to);
    const base = from - windowSizeBytes;
    readExactly(fd, scanner.buffer.subarray(0, to - base), base);
    const hit = scanner.firstCandidate(windowSizeBytes, to - base);
    if (hit >= 0) return base + hit;
    from = to + 1;
  }
  return -1;
}

/**
 * Fills `target` from `position`.
 * @throws SOURCE_FAILED with the offset; details.reason is `shrank` if the file ends before
 */
export function readExactly(fd: number, target: Uint8Array, position: number): void {
  let done = 0;
  while (done < target.byteLength) {
    const count = readPart(fd, target.subarray(done), position + done);
    if (count === 0) {
      throw new HoldfastError('SOURCE_FAILED', {
        message: 'the file became shorter while it was being read',
        details: { offset: position + done, reason: 'shrank' },
      });
    }
    done += count;
  }
}

/** One read of a source. @throws SOURCE_FAILED with the offset */
export function readPart(fd: number, target: Uint8Array, position: number): number {
  try {
    return readAt(fd, target, position);
  } catch (cause) {
    throw new HoldfastError('SOURCE_FAILED', { details: { offset: position }, cause });
  }
}
