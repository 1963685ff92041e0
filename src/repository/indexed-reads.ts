import type { BlobIndex } from './blob-index.ts';

/** Bytes between two blobs that are rather read than skipped with another request. */
export const readGapBytesMax: number = 1 << 20;
/** Size of a read that takes no further blob. */
export const readSizeBytesMax: number = 32 << 20;

/** One range of a pack, and the entries of the index that lie in it, by offset. */
export interface PackRead {
  readonly start: number;
  readonly end: number;
  readonly entries: readonly number[];
}

/**
 * Plans the fewest sensible reads that bring `entries`, all of one pack and none pending.
 * @see docs/FORMAT.md#packs
 */
export function planPackReads(index: BlobIndex, entries: readonly number[]): PackRead[] {
  const sorted = entries.toSorted((a, b) => index.offsetOf(a) - index.offsetOf(b));
  const reads: { start: number; end: number; entries: number[] }[] = [];
  for (const entry of sorted) {
    const start = index.offsetOf(entry);
    const end = start + index.lengthOf(entry);
    const last = reads.at(-1);
    const isNear = last && start - last.end <= readGapBytesMax;
    if (isNear && end - last.start < readSizeBytesMax) {
      last.end = Math.max(last.end, end);
      last.entries.push(entry);
    } else {
      reads.push({ start, end, entries: [entry] });
    }
  }
  return reads;
}
