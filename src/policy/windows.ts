import { Temporal } from 'temporal-polyfill';
import type { Policy } from '../contracts/policy.ts';
import { type Weekday, weekdays } from '../contracts/rhythm.ts';
import { dateAt, momentsOf, zonedAt } from './zone.ts';

const minutesPerDay = 1440;

/** Days that are looked through for a moment at which something may start. */
const daysSearchedMax = 800;

/** Part of a week: days, 1 for Monday, and minutes of the day. One that ends at or before its start goes on into the next day. */
interface WeekWindow {
  readonly days: ReadonlySet<number>;
  readonly fromMinute: number;
  readonly toMinute: number;
}

/** Days from one to another, both included; without year of every year. */
interface DateRange {
  readonly from: string;
  readonly to: string;
}

/** When something may start. */
export interface OpenTimes {
  /** True if it may start at `ms`. */
  readonly isOpen: (ms: number) => boolean;
  /** The first moment at or after `ms` at which it may; undefined if there is none within two years. */
  readonly opensAt: (ms: number) => number | undefined;
}

/** What a policy says about when its work may start, on the clocks of `zone`. */
export function openTimesOf(
  policy: Pick<Policy, 'windows' | 'not-during' | 'blackout'>,
  zone: string,
): OpenTimes {
  const windows = policy.windows?.map(parseWindow);
  const closed = (policy['not-during'] ?? []).map(parseWindow);
  const blackout = (policy.blackout ?? []).map(parseDates);
  const edges = edgeMinutes([...(windows ?? []), ...closed]);
  const isOpen = (ms: number): boolean => {
    const at = zonedAt(ms, zone);
    if (blackout.some((range) => holdsDate(range, at.toPlainDate()))) return false;
    if (closed.some((window) => holds(window, at))) return false;
    return windows === undefined || windows.some((window) => holds(window, at));
  };
  return {
    isOpen,
    opensAt(ms) {
      if (isOpen(ms)) return ms;
      let date = dateAt(ms, zone);
      for (let i = 0; i < daysSearchedMax; i++, date = date.add({ days: 1 })) {
        if (blackout.some((range) => holdsDate(range, date))) continue;
        for (const moment of edgesOn(date, edges, zone)) {
          if (moment > ms && isOpen(moment)) return moment;
        }
      }
      return undefined;
    },
  };
}

/** Minutes of a day at which a window may open or close; midnight always, for dates. */
function edgeMinutes(windows: readonly WeekWindow[]): number[] {
  const all = windows.flatMap(({ fromMinute, toMinute }) => [fromMinute, toMinute]);
  return [...new Set([0, ...all.map((minute) => minute % minutesPerDay)])];
}

/** Moments of a date at which something may open, the earliest first. */
function edgesOn(date: Temporal.PlainDate, minutes: readonly number[], zone: string): number[] {
  const start = date.toZonedDateTime(zone);
  const moments = minutes.flatMap((minute) => {
    const plainTime = Temporal.PlainTime.from({
      hour: Math.floor(minute / 60),
      minute: minute % 60,
    });
    return momentsOf(date.toPlainDateTime(plainTime), zone);
  });
  // Where a clock is changed, the change itself can lead into a window or out of it.
  if (start.hoursInDay !== 24) {
    const change = start.getTimeZoneTransition('next');
    if (change) moments.push(change.epochMilliseconds);
  }
  return [...moments, start.epochMilliseconds].toSorted((a, b) => a - b);
}

function holds({ days, fromMinute, toMinute }: WeekWindow, at: Temporal.ZonedDateTime): boolean {
  const minute = at.hour * 60 + at.minute;
  const today = days.has(at.dayOfWeek);
  if (fromMinute < toMinute) return today && minute >= fromMinute && minute < toMinute;
  const yesterday = days.has(at.dayOfWeek === 1 ? 7 : at.dayOfWeek - 1);
  return (today && minute >= fromMinute) || (yesterday && minute < toMinute);
}

/** Reads what the contract has taken: `mon-fri,sun 22:00-06:00`. */
function parseWindow(text: string): WeekWindow {
  const [first = '', second] = text.split(' ');
  const isTime = /^\d/.test(first);
  const time = isTime ? first : second;
  const [from = '00:00', to = '24:00'] = time?.split('-') ?? [];
  return {
    days: isTime ? new Set([1, 2, 3, 4, 5, 6, 7]) : parseDays(first),
    fromMinute: minuteOf(from),
    toMinute: minuteOf(to),
  };
}

function parseDays(text: string): Set<number> {
  const days = new Set<number>();
  for (const part of text.split(',')) {
    const [from, to = from] = part.split('-').map((day) => weekdays.indexOf(day as Weekday));
    // From Saturday to Monday goes over the end of the week.
    for (let day = from ?? 0; ; day = (day + 1) % 7) {
      days.add(day + 1);
      if (day === to) break;
    }
  }
  return days;
}

function minuteOf(text: string): number {
  const [hour = 0, minute = 0] = text.split(':').map(Number);
  return hour * 60 + minute;
}

function parseDates(text: string): DateRange {
  const [from = '', to = from] = text.split('..');
  return { from, to };
}

/** What is wrong with a range of dates that the contract has taken; undefined if nothing is. */
export function datesProblem(text: string): string | undefined {
  const { from, to } = parseDates(text);
  if (from.length !== to.length) return 'must have a year at both dates or at none';
  if (from.length > 5 && from > to) return 'must not end before it begins';
  return undefined;
}

function holdsDate({ from, to }: DateRange, date: Temporal.PlainDate): boolean {
  const text = date.toString();
  if (from.length > 5) return text >= from && text <= to;
  const day = text.slice(5);
  return from <= to ? day >= from && day <= to : day >= from || day <= to;
}
