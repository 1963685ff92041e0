import type { Clock } from '../../base/clock.ts';
import type { PackedBlobs } from '../../repository/blob.ts';
import type { Id } from '../../repository/id.ts';
import { marksOfFiles } from '../../repository/index-file.ts';
import { indexBlobCountMax, saveIndex } from '../../repository/index-writer.ts';
import { lockStaleMs } from '../../repository/lock-times.ts';
import { markAgeMs, markNow, type PackMark } from '../../repository/pack-marks.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CallOptions } from '../../storage/backend.ts';

/** A pack that was marked. */
export type MarkedPack = Pick<PackMark, 'id' | 'sizeBytes'>;

/** A pack that is about to be marked. */
export interface PackToMark extends MarkedPack {
  /** Gives what it holds; not kept: that of packs of 5 million blobs takes 240 MB. */
  readonly blobs: () => PackedBlobs;
}

/** A file of marks that is stored later than this after their time is followed by one with a later time. */
const markStoreMsMax: number = lockStaleMs / 2;
/** How often that is done: what takes longer so often is a storage that nothing can be done with. */
const attemptCountMax = 5;

/**
 * Stores marks, each with the time at which its file was made.
 *
 * Whoever begins half an hour after that time counts as one who has seen it, and is not waited for when the pack is deleted.
 * So marks that took long, because the storage was slow or the machine slept, are made again: of two marks of a pack the
 * later counts. If the lock was lost meanwhile they are taken back. Those that came in time are not: others may have seen
 * them, and go by them.
 * @returns the packs whose marks count
 * @throws LOCK_LOST, and what the backend throws
 * @see docs/CONCURRENCY.md#prune
 */
export async function saveMarks(
  repository: Repository,
  packs: readonly PackToMark[],
  options: CallOptions,
): Promise<readonly MarkedPack[]> {
  const { clock } = repository.environment;
  const inTime: MarkedPack[] = [];
  let late: readonly PackToMark[] = packs;
  for (let attempt = 1; late.length > 0 && attempt <= attemptCountMax; attempt++) {
    const isLast = attempt === attemptCountMax;
    const again: PackToMark[] = [];
    let ofFile: TimedPack[] = [];
    const onMark = (timed: TimedPack): void => void ofFile.push(timed);
    for (const marks of marksOfFiles(marksOf(late, clock, onMark), indexBlobCountMax)) {
      const id = await saveIndex(repository, { packs: [], marks }, options);
      const isLate = ofFile.some((timed) => markAgeMs(timed, clock.wallNs()) > markStoreMsMax);
      if (isLate) await takeBackUnlessHeld(repository, id);
      for (const { pack } of ofFile) {
        if (isLate && !isLast) again.push(pack);
        else inTime.push({ id: pack.id, sizeBytes: pack.sizeBytes });
      }
      ofFile = [];
    }
    late = again;
  }
  return inTime;
}

/** A pack, and the time of its mark. */
interface TimedPack extends Pick<PackMark, 'time'> {
  readonly pack: PackToMark;
}

/** Gives each pack its time when its file is made. */
function* marksOf(
  packs: readonly PackToMark[],
  clock: Clock,
  onMark: (timed: TimedPack) => void,
): Generator<PackMark, void, void> {
  for (const pack of packs) {
    const mark = markNow({ ...pack, blobs: pack.blobs() }, clock.wallNs());
    onMark({ pack, time: mark.time });
    yield mark;
  }
}

/** @throws LOCK_LOST */
async function takeBackUnlessHeld(repository: Repository, id: Id): Promise<void> {
  try {
    await repository.certain();
  } catch (error) {
    await repository.retract('index', id).catch(() => undefined);
    throw error;
  }
}
