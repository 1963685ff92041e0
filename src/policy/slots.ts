import { Cron } from 'croner';
import { Temporal } from 'temporal-polyfill';
import { lengthMs } from '../contracts/durations.ts';
import { type MonthDay, type Rhythm, weekdays } from '../contracts/rhythm.ts';
import { dateAt, momentsOf, wallAsUtcMs, wallOfUtcMs } from './zone.ts';

/** The times at which a rhythm wants a run, before jitter and windows, in milliseconds since 1970. */
export interface Slots {
  /** The latest at or before `ms`; undefined if there is none. */
  last(ms: number): number | undefined;
  /** The first after `ms`; undefined if there is none. */
  next(ms: number): number | undefined;
}

/** A Monday, midnight: where even distances are counted from. */
const anchorDate = '1970-01-05';

/** Days that are looked through for a slot: every calendar rhythm has one in a year, and a day may be skipped by a zone. */
const daysSearchedMax = 370;

/** Clocks are changed by less than this, but for the rare zone that skips a day, whose slots coincide with the next day's. */
const changeMsMax = 3 * 3_600_000;

/**
 * The slots of a rhythm. Each time of day that a calendar rhythm or cron expression names is one slot a day: where a clock is set
 * forward over it, it comes after the gap; where it is set back, the first of the two counts. Only a cron expression for every
 * hour (its hour field begins with `*`) has a slot in both.
 * @throws RangeError for a cron expression that is none
 */
export function slotsOf(rhythm: Rhythm, zone: string): Slots {
  if (rhythm.every !== undefined) return evenSlots(lengthMs(rhythm.every), zone);
  if (rhythm.cron !== undefined) return cronSlots(rhythm.cron, zone);
  const { daily, weekly, monthly, yearly } = rhythm;
  if (daily) return calendarSlots(() => true, daily, zone);
  if (weekly) {
    const days = new Set(weekly.on.map((day) => weekdays.indexOf(day) + 1));
    return calendarSlots((date) => days.has(date.dayOfWeek), weekly.at, zone);
  }
  if (monthly) {
    return calendarSlots((date) => monthly.on.some((day) => isOn(date, day)), monthly.at, zone);
  }
  const days = (yearly?.on ?? []).map((text) => text.split('-').map(Number));
  const isDay = (date: Temporal.PlainDate): boolean =>
    days.some(([month, day = 0]) => date.month === month && isOn(date, day));
  return calendarSlots(isDay, yearly?.at ?? [], zone);
}

/** True if the date stands for that day of its month. */
function isOn({ day, daysInMonth }: Temporal.PlainDate, wanted: MonthDay): boolean {
  return day === (wanted === 'last' ? daysInMonth : Math.min(wanted, daysInMonth));
}

/** The longest time between two neighbours among the next slots, in milliseconds; undefined if there are no two. */
export function longestGapMs(slots: Slots, nowMs: number, count = 64): number | undefined {
  let longest: number | undefined;
  let from = slots.next(nowMs);
  for (let i = 0; i < count && from !== undefined; i++) {
    const to = slots.next(from);
    if (to === undefined) break;
    longest = Math.max(longest ?? 0, to - from);
    from = to;
  }
  return longest;
}

function evenSlots(intervalMs: number, zone: string): Slots {
  const midnight = Temporal.PlainDate.from(anchorDate).toZonedDateTime(zone);
  const anchorMs = midnight.epochMilliseconds;
  const last = (ms: number): number =>
    anchorMs + Math.floor((ms - anchorMs) / intervalMs) * intervalMs;
  return { last, next: (ms) => last(ms) + intervalMs };
}

function calendarSlots(
  isDay: (date: Temporal.PlainDate) => boolean,
  at: readonly string[],
  zone: string,
): Slots {
  const times = at.map((text) => Temporal.PlainTime.from(text));
  const on = (date: Temporal.PlainDate): number[] =>
    times
      .map((plainTime) => date.toZonedDateTime({ timeZone: zone, plainTime }).epochMilliseconds)
      .toSorted((a, b) => a - b);
  // The neighbours, too: a time that a gap pushes on may come on the next day.
  const search = (ms: number, step: 1 | -1): number | undefined => {
    let date = dateAt(ms, zone).add({ days: -step });
    for (let i = 0; i < daysSearchedMax; i++, date = date.add({ days: step })) {
      if (!isDay(date)) continue;
      const found =
        step > 0 ? on(date).find((slot) => slot > ms) : on(date).findLast((slot) => slot <= ms);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return { last: (ms) => search(ms, -1), next: (ms) => search(ms, 1) };
}

/** Cron on a wall clock without changes; `momentsOf` brings its times to the zone. */
function cronSlots(expression: string, zone: string): Slots {
  const cron = openCron(expression);
  const isHourly = expression.trim().split(/ +/)[1]?.startsWith('*') ?? false;
  const moments = (wallMs: number): readonly number[] => {
    const all = momentsOf(wallOfUtcMs(wallMs), zone);
    return isHourly ? all : all.slice(0, 1);
  };
  return {
    next(ms) {
      let best: number | undefined;
      let wall = cron.nextRun(new Date(wallAsUtcMs(ms, zone) - changeMsMax));
      for (; wall; wall = cron.nextRun(wall)) {
        const found = moments(wall.getTime());
        if (best !== undefined && (found[0] ?? 0) >= best) return best;
        const later = found.filter((moment) => moment > ms);
        if (later.length > 0) best = Math.min(best ?? Infinity, ...later);
      }
      return best;
    },
    last(ms) {
      let best: number | undefined;
      const until = wallAsUtcMs(ms, zone) + changeMsMax;
      let wall = cron.previousRuns(1, new Date(until))[0];
      for (; wall; wall = cron.previousRuns(1, wall)[0]) {
        const found = moments(wall.getTime());
        const earlier = found.filter((moment) => moment <= ms);
        if (earlier.length > 0) best = Math.max(best ?? -Infinity, ...earlier);
        // What comes before is earlier by a change of the clock at most.
        if (best !== undefined && (found[0] ?? 0) < best - changeMsMax) return best;
        if (best !== undefined && !isHourly) return best;
      }
      return best;
    },
  };
}

/** @throws RangeError */
function openCron(expression: string): Cron {
  try {
    return new Cron(expression, { timezone: 'UTC', mode: '5-part', paused: true });
  } catch (error) {
    const what = error instanceof Error ? error.message.replace(/^CronPattern: /, '') : '';
    throw new RangeError(`is no cron expression: ${what}`);
  }
}
