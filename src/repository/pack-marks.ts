import { timestampFromNs, timestampToNs, type Timestamp } from '../base/timestamp.ts';
import type { PackedBlobs } from './blob.ts';
import type { Id } from './id.ts';

/**
 * A pack that some prune found to be of no use and means to delete later. It stands in the list `packs_to_delete` of an
 * index file, which restic ignores and rustic has, too.
 * @see docs/FORMAT.md#marks
 */
export interface PackMark {
  readonly id: Id;
  /** What it holds, as its index entry would; none if it is not known. */
  readonly blobs: PackedBlobs;
  /** When it was marked, by the clock of who did; undefined if it is not known. */
  readonly time: Timestamp | undefined;
  /** Bytes of the whole file; undefined if they are not known. */
  readonly sizeBytes: number | undefined;
}

/** A mark of a pack, for who does not need what it holds: that of millions of blobs takes hundreds of megabytes. */
export interface BareMark extends Omit<PackMark, 'blobs'> {
  /** False if it is not known what the pack holds. */
  readonly hasBlobs: boolean;
}

/** Adds a mark. Of two marks of one pack the later counts, and one without a time before all: a pack is kept longer, never shorter. */
export function addMark(marks: Map<Id, PackMark>, mark: PackMark): void {
  const known = marks.get(mark.id);
  const blobs = known && known.blobs.count > 0 ? known.blobs : mark.blobs;
  marks.set(mark.id, known ? { ...joined(known, mark), blobs } : mark);
}

/** As `addMark`, without what the pack holds. */
export function addBareMark(marks: Map<Id, BareMark>, { blobs, ...mark }: PackMark): void {
  const known = marks.get(mark.id);
  const hasBlobs = blobs.count > 0 || known?.hasBlobs === true;
  marks.set(mark.id, { ...(known ? joined(known, mark) : mark), hasBlobs });
}

function joined<Mark extends Omit<PackMark, 'blobs'>>(
  known: Mark,
  mark: Omit<PackMark, 'blobs'>,
): Mark {
  const sizeBytes = known.sizeBytes ?? mark.sizeBytes;
  const [a, b] = [known.time, mark.time];
  const time = a && b ? (timestampToNs(a) > timestampToNs(b) ? a : b) : undefined;
  return { ...known, time, sizeBytes };
}

/**
 * For how long a pack has been marked, by this machine's clock, in milliseconds. A time that is not known, or lies in
 * the future, counts as now: clocks that differ make a mark wait longer, never shorter.
 */
export function markAgeMs(mark: Pick<PackMark, 'time'>, wallNs: bigint): number {
  if (!mark.time) return 0;
  return Math.max(0, Number((wallNs - timestampToNs(mark.time)) / 1_000_000n));
}

/** When a pack was marked, in milliseconds since 1970 by the clock of who did; Infinity if it is not known. */
export function markTimeMs({ time }: Pick<PackMark, 'time'>): number {
  return time ? Number(timestampToNs(time) / 1_000_000n) : Number.POSITIVE_INFINITY;
}

/** A mark of a pack that is made now. */
export function markNow(pack: Omit<PackMark, 'time'>, wallNs: bigint): PackMark {
  return { ...pack, time: timestampFromNs(wallNs) };
}
