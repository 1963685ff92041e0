import fc from 'fast-check';
import { markIncomplete } from '../../repository/completeness.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import { parseTime } from '../../repository/time-format.ts';
import { type CalendarSpan, parseSpan } from './calendar-span.ts';
import type { RetentionPolicy } from './policy.ts';

/** For tests: snapshots and policies, made by hand and at random. */

const noSpan: CalendarSpan = { years: 0, months: 0, days: 0, hours: 0 };

/** A policy of what is given and nothing else. */
export function policyWith(
  given: Partial<RetentionPolicy['counts']> & {
    readonly last?: number;
    readonly tags?: RetentionPolicy['tags'];
    readonly within?: string;
    readonly withinDaily?: string;
  },
): RetentionPolicy {
  const { last = 0, tags = [], within = '', withinDaily = '', ...counts } = given;
  return {
    last,
    counts: { hourly: 0, daily: 0, weekly: 0, monthly: 0, yearly: 0, ...counts },
    within: spanOf(within),
    withinPeriods: {
      hourly: noSpan,
      daily: spanOf(withinDaily),
      weekly: noSpan,
      monthly: noSpan,
      yearly: noSpan,
    },
    tags,
  };
}

export function spanOf(text: string): CalendarSpan {
  const parsed = parseSpan(text);
  if ('problem' in parsed) throw new Error(`${text} ${parsed.problem}`);
  return parsed.span;
}

/** A snapshot of this time; its id follows from it. */
export function snapshotAt(time: string, more: Partial<StoredSnapshot> = {}): StoredSnapshot {
  const id = Buffer.from(time).toString('hex').padEnd(64, '0').slice(0, 64);
  return { id, time: parseTime(time), tree: '0'.repeat(64), paths: ['/a'], ...more };
}

/** Middle of the times that are made up: nothing in them is later than the present of any run. */
const middleSeconds = 1_735_689_600;

/** Steps back from there, so that every period is met and its edges, too. */
const steps = fc.oneof(
  fc.integer({ min: 0, max: 7200 }),
  fc.integer({ min: 0, max: 200 }).map((n) => n * 3600),
  fc.integer({ min: 0, max: 100 }).map((n) => n * 86_400),
  fc.integer({ min: 0, max: 60 }).map((n) => n * 7 * 86_400 + (n % 3) - 1),
  fc.integer({ min: 0, max: 400_000_000 }),
);

const offsets = fc.constantFrom(0, 60, 120, -300, -210, 345, 840, -720);

/** A time that was: by the wall clock of some zone, or to the nanosecond. */
export const pastTime: fc.Arbitrary<StoredSnapshot['time']> = fc
  .tuple(steps, offsets, fc.constantFrom(0, 1, 500_000_000))
  .map(([back, offsetMinutes, nanoseconds]) => ({
    seconds: middleSeconds - back,
    nanoseconds,
    offsetMinutes,
  }));

const tagLists = fc.constantFrom(undefined, ['a'], ['b'], ['a', 'b'], ['b', 'a', 'c']);

/** Sound snapshots of one group, each at another instant, in any order. */
export const soundSnapshots: fc.Arbitrary<StoredSnapshot[]> = fc
  .uniqueArray(fc.tuple(pastTime, tagLists), {
    maxLength: 14,
    selector: ([time]) => `${time.seconds}.${time.nanoseconds}`,
  })
  .map((list) =>
    list.map(([time, tags], i) => ({
      id: String(i).padStart(64, '0'),
      time,
      tree: '0'.repeat(64),
      paths: ['/a'],
      ...(tags ? { tags } : {}),
    })),
  );

/** Snapshots that must take no place from others: incomplete, from the future, dated by hand. */
export const unsoundSnapshots: fc.Arbitrary<StoredSnapshot[]> = fc
  .array(fc.tuple(pastTime, fc.constantFrom('incomplete', 'future', 'by hand'), tagLists), {
    maxLength: 8,
  })
  .map((list) =>
    list.map(([{ seconds, offsetMinutes }, kind, tags], i): StoredSnapshot => {
      // Never at the instant of another: which of them comes first is open, in restic by chance.
      const time = { seconds, nanoseconds: 2 + i, offsetMinutes: offsetMinutes ?? 0 };
      const base = {
        id: String(i).padStart(64, 'f'),
        tree: '0'.repeat(64),
        paths: ['/a'],
        ...(tags ? { tags } : {}),
      };
      if (kind === 'incomplete') {
        return { ...base, time, programVersion: markIncomplete('holdfast 1.0.0') };
      }
      if (kind === 'future') return { ...base, time: { ...time, seconds: time.seconds + 4e9 } };
      const made = { ...time, seconds: time.seconds + 200_000 };
      return { ...base, time, summary: { backupStart: made } };
    }),
  );

const count = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  fc.integer({ min: 1, max: 6 }),
  fc.constant(Number.POSITIVE_INFINITY),
);

const span: fc.Arbitrary<CalendarSpan> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(noSpan) },
  fc.record({
    years: fc.nat(3),
    months: fc.nat(14),
    days: fc.nat(40),
    hours: fc.nat(30),
  }),
);

/** Any policy that keeps something of something. */
export const anyPolicy: fc.Arbitrary<RetentionPolicy> = fc
  .record({
    last: count,
    counts: fc.record({
      hourly: count,
      daily: count,
      weekly: count,
      monthly: count,
      yearly: count,
    }),
    within: span,
    withinPeriods: fc.record({
      hourly: span,
      daily: span,
      weekly: span,
      monthly: span,
      yearly: span,
    }),
    tags: fc.oneof(
      { weight: 3, arbitrary: fc.constant([]) },
      fc.array(fc.constantFrom(['a'], ['a', 'b'], [''], ['c']), { maxLength: 2 }),
    ),
  })
  // A policy without any count might keep nothing, which is refused.
  .map((policy) => (policy.last === 0 ? { ...policy, last: 1 } : policy));
