import type { Timestamp } from '../../base/timestamp.ts';
import { civilFromDay, dayFromCivil, type ZoneOffset } from '../../repository/time-format.ts';

/** A length of time in the units of a calendar, each at least 0. */
export interface CalendarSpan {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
}

const secondsPerDay = 86_400;
const secondsPerHour = 3600;

/** Beyond this no calendar reaches, and sums stay exact. */
const countMax = 99_999;

const units: Readonly<Record<string, keyof CalendarSpan>> = {
  y: 'years',
  m: 'months',
  d: 'days',
  h: 'hours',
};

/** A span, or what is wrong with the text. */
export type ParsedSpan = { readonly span: CalendarSpan } | { readonly problem: string };

/**
 * Reads a span such as `1y5m7d2h`: numbers with a unit each, in any order; of a unit that is there twice the last counts,
 * as in restic. An empty text is the span of no length.
 */
export function parseSpan(text: string): ParsedSpan {
  const span = { years: 0, months: 0, days: 0, hours: 0 };
  const part = /(-?\d+)([ymdh])/y;
  const trimmed = text.trim();
  while (part.lastIndex < trimmed.length) {
    const match = part.exec(trimmed);
    const unit = units[match?.[2] ?? ''];
    const count = Number(match?.[1]);
    if (!unit) return { problem: 'must be a duration in years, months, days and hours: 1y5m7d2h' };
    if (count < 0) return { problem: 'must not be negative' };
    if (count > countMax) return { problem: `must have no number above ${countMax}` };
    span[unit] = count;
  }
  return { span };
}

/** True for a span of no length. */
export function isNoSpan({ years, months, days, hours }: CalendarSpan): boolean {
  return years + months + days + hours === 0;
}

/** The span as restic writes it: `1y5m7d2h`, without units of 0. */
export function formatSpan(span: CalendarSpan): string {
  return Object.entries(units)
    .filter(([, unit]) => span[unit] > 0)
    .map(([letter, unit]) => `${span[unit]}${letter}`)
    .join('');
}

/**
 * The instant a span before `time`: years, months and days by the calendar of the zone that `time` was written in,
 * where the 31st of a shorter month runs on into the next one, then hours by the clock.
 *
 * @param zone this machine's zone. A time that has its offset is taken to be in it, as Go does, so that days are days
 *   across a change between summer and winter time; any other keeps its offset
 */
export function spanBefore(time: Timestamp, span: CalendarSpan, zone: ZoneOffset): Timestamp {
  const stored = time.offsetMinutes ?? zone(time.seconds);
  const isLocal = stored === zone(time.seconds);
  const wall = time.seconds + stored * 60;
  const day = Math.floor(wall / secondsPerDay);
  const { year, month, dayOfMonth } = civilFromDay(day);
  const monthIndex = month - 1 - span.months;
  const years = Math.floor(monthIndex / 12);
  const first = dayFromCivil(year - span.years + years, monthIndex - years * 12 + 1, 1);
  const target =
    (first + dayOfMonth - 1 - span.days) * secondsPerDay + (wall - day * secondsPerDay);
  const offset = isLocal ? offsetOfWall(target, zone) : stored;
  return {
    seconds: target - offset * 60 - span.hours * secondsPerHour,
    nanoseconds: time.nanoseconds,
  };
}

/** Minutes east of UTC at the instant that a wall clock shows as `wall`; Go's choice where there are two or none. */
function offsetOfWall(wall: number, zone: ZoneOffset): number {
  return zone(wall - zone(wall) * 60);
}
