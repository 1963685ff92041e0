import type { Clock } from '../../base/clock.ts';
import type { Id } from '../../repository/id.ts';
import { encodeMarks } from '../../repository/index-file.ts';
import { indexBlobCountMax } from '../../repository/index-writer.ts';
import { lockStaleMs } from '../../repository/lock-times.ts';
import { markAgeMs, markNow, type PackMark } from '../../repository/pack-marks.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CallOptions } from '../../storage/backend.ts';

/** A pack that is about to be marked. */
export type PackToMark = Omit<PackMark, 'time'>;

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
 * @returns the marks that count
 * @throws LOCK_LOST, and what the backend throws
 * @see docs/CONCURRENCY.md#prune
 */
export async function saveMarks(
  repository: Repository,
  packs: readonly PackToMark[],
  options: CallOptions,
): Promise<readonly PackMark[]> {
  const { clock } = repository.environment;
  const inTime: PackMark[] = [];
  let late: readonly PackToMark[] = packs;
  for (let attempt = 1; late.length > 0 && attempt <= attemptCountMax; attempt++) {
    const marks: PackMark[] = [];
    const isLast = attempt === attemptCountMax;
    const again: PackMark[] = [];
    let storedCount = 0;
    for (const json of encodeMarks(timed(late, clock, marks), indexBlobCountMax)) {
      const id = await repository.saveUnpacked('index', json, options);
      const ofFile = marks.slice(storedCount);
      storedCount = marks.length;
      const isLate = ofFile.some((mark) => markAgeMs(mark, clock.wallNs()) > markStoreMsMax);
      if (isLate) await takeBackUnlessHeld(repository, id);
      (isLate && !isLast ? again : inTime).push(...ofFile);
    }
    late = again;
  }
  return inTime;
}

/** Gives each pack its time when its file is made, and remembers the mark. */
function* timed(
  packs: readonly PackToMark[],
  clock: Clock,
  marks: PackMark[],
): Generator<PackMark, void, void> {
  for (const pack of packs) {
    const mark = markNow(pack, clock.wallNs());
    marks.push(mark);
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
