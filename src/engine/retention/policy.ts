import { type Period, periods } from './buckets.ts';
import { type CalendarSpan, formatSpan, isNoSpan } from './calendar-span.ts';

/**
 * Which snapshots of a group are kept. Counts are whole numbers, 0 for none and Infinity for all; a span of no length
 * is none.
 */
export interface RetentionPolicy {
  /** So many of the newest. */
  readonly last: number;
  /** The newest of so many periods that have one. */
  readonly counts: Readonly<Record<Period, number>>;
  /** All that are newer than this, seen from the newest. */
  readonly within: CalendarSpan;
  /** The newest of every period in a span before the newest. */
  readonly withinPeriods: Readonly<Record<Period, CalendarSpan>>;
  /** All that have all tags of any of these lists; the empty tag fits those without any. */
  readonly tags: readonly (readonly string[])[];
}

/** True if the policy keeps nothing, whatever there is. */
export function isEmptyPolicy(policy: RetentionPolicy): boolean {
  return describeKeeps(policy).length === 0;
}

/** The policy in restic's words: `keep 3 latest, all daily snapshots`; `remove` if it keeps nothing. */
export function describePolicy(policy: RetentionPolicy): string {
  const keeps = describeKeeps(policy);
  return keeps.length === 0 ? 'remove' : `keep ${keeps.join(' and ')}`;
}

function describeKeeps(policy: RetentionPolicy): string[] {
  const counts = [
    ['latest', policy.last] as const,
    ...periods.map((p) => [p, policy.counts[p]] as const),
  ]
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count === Number.POSITIVE_INFINITY ? 'all' : count} ${name}`);
  const spans = periods
    .filter((period) => !isNoSpan(policy.withinPeriods[period]))
    .map((period) => `${period} snapshots within ${formatSpan(policy.withinPeriods[period])}`);
  const counted = counts.length > 0 ? [`${counts.join(', ')} snapshots`] : [];
  const keeps: string[] = [];
  if (counted.length + spans.length > 0) keeps.push([...counted, ...spans].join(', '));
  if (policy.tags.length > 0) {
    keeps.push(`all snapshots with tags [${policy.tags.map(formatTags).join(' ')}]`);
  }
  if (!isNoSpan(policy.within)) {
    keeps.push(`all snapshots within ${formatSpan(policy.within)} of the newest`);
  }
  return keeps;
}

/** A list of tags in restic's words: `[a, b]`. */
export function formatTags(tags: readonly string[]): string {
  return `[${tags.join(', ')}]`;
}
