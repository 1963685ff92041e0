import type { Timestamp } from '../../base/timestamp.ts';
import { isIncomplete } from '../../repository/completeness.ts';
import type { Id } from '../../repository/id.ts';
import type { Snapshot } from '../../repository/snapshots.ts';
import { zeroTime } from '../../repository/time-format.ts';

/** Clocks of machines that are looked after differ by less. */
const skewSeconds = 3600;

/** A backup of a frozen state of the source, such as of last night, is dated so in good faith. */
const backdatedSeconds = 86_400;

/** Why a snapshot must take no place from others. */
export type Unsoundness = 'incomplete' | 'damaged' | 'from the future' | 'dated by hand';

/** What snapshots are judged by. */
export interface JudgedBy {
  /** By this machine's clock; where it is wrong, more is kept. */
  readonly now: Timestamp;
  /** Topmost trees that are known not to be loadable; default: none are known. */
  readonly lostTrees?: ReadonlySet<Id>;
}

/**
 * Tells whether a snapshot is sound: complete, not known to be damaged, and dated when it was made, as far as can be known. What dates it is the
 * clock of its client or `--time`; when the backup ran stands in its summary, if it has one.
 * @returns undefined for a sound one
 */
export function unsoundnessOf(
  snapshot: Snapshot,
  { now, lostTrees }: JudgedBy,
): Unsoundness | undefined {
  if (lostTrees?.has(snapshot.tree)) return 'damaged';
  if (isIncomplete(snapshot)) return 'incomplete';
  if (snapshot.time.seconds > now.seconds + skewSeconds) return 'from the future';
  const made = snapshot.summary?.backupStart;
  // Go writes its zero time for one that is not known.
  if (!made || made.seconds === zeroTime.seconds) return undefined;
  const isNear = Math.abs(snapshot.time.seconds - made.seconds) <= backdatedSeconds;
  return isNear ? undefined : 'dated by hand';
}
