import { compareTimestamps, type Timestamp } from '../../base/timestamp.ts';
import { matches, type StoredSnapshot } from '../../repository/snapshots.ts';
import { localZone, zeroTime } from '../../repository/time-format.ts';
import { periodOf, periods } from './buckets.ts';
import { formatSpan, isNoSpan, spanBefore } from './calendar-span.ts';
import { formatTags, type RetentionPolicy } from './policy.ts';

/** Keeps the first snapshot of each period it meets, as often as it may. */
interface Bucket {
  /** `daily snapshot`. */
  readonly reason: string;
  /** Only what is newer counts. */
  readonly after: Timestamp | undefined;
  left: number;
  last: number | undefined;
  period(snapshot: StoredSnapshot, position: number): number;
}

/** Newest first; equal instants by id, so that the result does not depend on the order of a listing. */
export function newestFirst(snapshots: readonly StoredSnapshot[]): StoredSnapshot[] {
  return snapshots.toSorted(
    (a, b) => compareTimestamps(b.time, a.time) || (a.id < b.id ? -1 : Number(a.id > b.id)),
  );
}

/**
 * Applies a policy to the snapshots of one group exactly as restic does: for each, newest first, the reasons to keep it.
 * No reason: it goes. Calendar fields are those of the offset that a snapshot was written with.
 *
 * @param snapshots newest first
 * @param now instant from which on a snapshot is in the future: it is counted, but spans do not begin at it
 * @see docs/BEHAVIOUR.md#forget
 */
export function applyPolicy(
  snapshots: readonly StoredSnapshot[],
  policy: RetentionPolicy,
  now: Timestamp,
): string[][] {
  const latest = snapshots.find(({ time }) => compareTimestamps(time, now) < 0)?.time ?? zeroTime;
  const buckets = bucketsOf(policy, latest);
  const within = isNoSpan(policy.within) ? undefined : spanBefore(latest, policy.within, localZone);
  return snapshots.map((snapshot, position) => {
    const isOldest = position === snapshots.length - 1;
    const reasons = policy.tags
      .filter((tags) => matches(snapshot, { tags: [tags] }))
      .map((tags) => `has tags ${formatTags(tags)}`);
    if (within && compareTimestamps(snapshot.time, within) > 0) {
      reasons.push(`within ${formatSpan(policy.within)}`);
    }
    for (const bucket of buckets) {
      const reason = offer(bucket, snapshot, { position, isOldest });
      if (reason !== undefined) reasons.push(reason);
    }
    return reasons;
  });
}

function bucketsOf(policy: RetentionPolicy, latest: Timestamp): Bucket[] {
  const byLast: Bucket = {
    reason: 'last snapshot',
    after: undefined,
    left: policy.last,
    last: undefined,
    period: (_, position) => position,
  };
  const counted = periods.map(
    (period): Bucket => ({
      reason: `${period} snapshot`,
      after: undefined,
      left: policy.counts[period],
      last: undefined,
      period: ({ time }) => periodOf(time, period),
    }),
  );
  const spanned = periods.map((period): Bucket => {
    const span = policy.withinPeriods[period];
    return {
      reason: `${period} within ${formatSpan(span)}`,
      after: spanBefore(latest, span, localZone),
      left: isNoSpan(span) ? 0 : Number.POSITIVE_INFINITY,
      last: undefined,
      period: ({ time }) => periodOf(time, period),
    };
  });
  return [byLast, ...counted, ...spanned];
}

/** Offers the next snapshot to a bucket. @returns the reason to keep it, if it takes it */
function offer(
  bucket: Bucket,
  snapshot: StoredSnapshot,
  { position, isOldest }: { readonly position: number; readonly isOldest: boolean },
): string | undefined {
  if (bucket.left <= 0) return undefined;
  if (bucket.after && compareTimestamps(snapshot.time, bucket.after) <= 0) return undefined;
  const period = bucket.period(snapshot, position);
  const isNew = period !== bucket.last;
  if (!isNew && !isOldest) return undefined;
  bucket.last = period;
  bucket.left--;
  return isNew ? bucket.reason : `oldest ${bucket.reason}`;
}
