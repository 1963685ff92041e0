import { system } from './system.ts';

/** Bytes `[start, end)` of a file. */
export interface DataRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The next run of data at or after `position`, undefined if only holes follow up to `sizeBytes`.
 *
 * Moves the file's own offset: read with explicit positions. Where the file system cannot tell, all is data.
 * @see lseek(2), SEEK_DATA and SEEK_HOLE
 */
export function nextDataRange(
  file: number,
  position: number,
  sizeBytes: number,
): DataRange | undefined {
  if (position >= sizeBytes) return undefined;
  const start = system().seekData(file, position);
  if (start === undefined || start >= sizeBytes) return undefined;
  if (start < 0) return { start: position, end: sizeBytes };
  const end = system().seekHole(file, start);
  // The file shrank between the calls, or the answer makes no sense: read the rest, which tells the truth.
  if (end === undefined || end <= start) return { start, end: sizeBytes };
  return { start, end: Math.min(end, sizeBytes) };
}

/**
 * All runs of data in the first `sizeBytes` bytes, in order; what lies between reads as zeros.
 *
 * For files with very many runs use `nextDataRange` one by one.
 */
export function dataRanges(file: number, sizeBytes: number): DataRange[] {
  const ranges: DataRange[] = [];
  let range = nextDataRange(file, 0, sizeBytes);
  while (range !== undefined) {
    ranges.push(range);
    range = nextDataRange(file, range.end, sizeBytes);
  }
  return ranges;
}

/**
 * Frees the bytes `[start, end)`, which then read as zeros; the size of the file stays.
 * @returns false where this is not possible; the file is unchanged then
 */
export function punchHole(file: number, start: number, end: number): boolean {
  return system().punchHole(file, start, end);
}

/**
 * Reserves storage for the first `sizeBytes` bytes; the size of the file stays.
 * @returns false where this is not possible
 * @throws STORAGE_FULL
 */
export function allocate(file: number, sizeBytes: number): boolean {
  return system().allocate(file, sizeBytes);
}
