import type { BlobIndex } from './blob-index.ts';

/** Bytes between two blobs that are rather read than skipped with another request. */
export const readGapBytesMax: number = 1 << 20;
/** Size of a read that takes no further blob. */
export const readSizeBytesMax: number = 32 << 20;

/** One range of a pack, and the entries of the index that lie in it, by offset. */
export interface PackRead {
  readonly start: number;
  readonly end: number;
  readonly entries: Int32Array;
}

/**
 * Plans the fewest sensible reads that bring `entries`, all of one pack and none pending.
 *
 * @param sizeBytesMax size of a read that takes no further blob
 * @see docs/FORMAT.md#packs
 */
export function planPackReads(
  index: BlobIndex,
  entries: Iterable<number>,
  sizeBytesMax: number = readSizeBytesMax,
): PackRead[] {
  const sorted = Int32Array.from(entries);
  if (!areInOrder(index, sorted)) sorted.sort((a, b) => index.offsetOf(a) - index.offsetOf(b));
  return readsInOrder(index, sorted, sizeBytesMax);
}

/** As `planPackReads`, of entries that are ordered by their offsets already. What the reads have of them are views. */
export function readsInOrder(
  index: BlobIndex,
  sorted: Int32Array,
  sizeBytesMax: number = readSizeBytesMax,
): PackRead[] {
  const reads: PackRead[] = [];
  let first = 0;
  let start = 0;
  let end = 0;
  for (let at = 0; at < sorted.length; at++) {
    const from = index.offsetOf(sorted[at]!);
    const to = from + index.lengthOf(sorted[at]!);
    const isNear = from - end <= readGapBytesMax;
    if (at > first && isNear && to - start < sizeBytesMax) {
      end = Math.max(end, to);
      continue;
    }
    if (at > first) reads.push({ start, end, entries: sorted.subarray(first, at) });
    [first, start, end] = [at, from, to];
  }
  if (first < sorted.length) reads.push({ start, end, entries: sorted.subarray(first) });
  return reads;
}

/** As most are. Sorting some millions that are sorted takes seconds. */
export function areInOrder(index: BlobIndex, entries: Int32Array): boolean {
  let previous = -1;
  for (const entry of entries) {
    const offset = index.offsetOf(entry);
    if (offset < previous) return false;
    previous = offset;
  }
  return true;
}
