import { HoldfastError } from '../base/errors.ts';
import { type Timestamp, timestampFromNs } from '../base/timestamp.ts';

/**
 * Minutes east of UTC that a zone has at an instant (seconds since 1970). The value may have a fraction:
 * local mean times of the 19th century have seconds.
 */
export type ZoneOffset = (seconds: number) => number;

/** Bytes of a formatted time at most. */
export const timeSizeBytesMax = 35;

/** `0001-01-01T00:00:00Z`: Go's zero time, the value of a time that is missing. */
export const zeroTime: Timestamp = { seconds: -62135596800, nanoseconds: 0, offsetMinutes: 0 };

const secondsPerDay = 86_400;
/** Years, and with them the rules of every zone, repeat after 400 of them. */
const secondsPerCycle = 146_097 * secondsPerDay;
/** First and last day of the years 0000 to 9999. */
const firstDay = -719_528;
const lastDay = 2_932_896;
const year1Seconds = -62_135_596_800;
const year2400Seconds = 13_569_465_600;
/** Since 1973 all zones are whole minutes away from UTC. */
const year1973Seconds = 94_694_400;

/** UTC. */
export const utcZone: ZoneOffset = () => 0;

/** The zone of this process (`TZ` or the system's), which is taken to be fixed while it runs. */
export const localZone: ZoneOffset = createLocalZone();

/** An instant (nanoseconds since 1970) with the offset that it has in the zone of this process. */
export function localTime(wallNs: bigint): Timestamp {
  const time = timestampFromNs(wallNs);
  return { ...time, offsetMinutes: localZone(time.seconds) };
}

/**
 * Makes a `localZone` with a cache of its own.
 *
 * The offset is cached per UTC day if the day begins and ends with the same one: no zone has ever changed
 * twice within 24 hours (the shortest time between two changes is over a day).
 */
export function createLocalZone(): ZoneOffset {
  const slotCount = 4096;
  const days = new Float64Array(slotCount).fill(Number.NaN);
  const minutes = new Float64Array(slotCount);
  return (seconds) => {
    const day = Math.floor(seconds / secondsPerDay);
    const slot = day & (slotCount - 1);
    if (days[slot] === day) return minutes[slot]!;
    const first = offsetMinutesAt(day * secondsPerDay);
    if (first !== offsetMinutesAt((day + 1) * secondsPerDay - 1)) return offsetMinutesAt(seconds);
    days[slot] = day;
    minutes[slot] = first;
    return first;
  };
}

/** What `Date` says, over the whole range of times that file systems have. */
function offsetMinutesAt(seconds: number): number {
  let inRange = Math.max(seconds, year1Seconds);
  if (inRange > year2400Seconds) {
    inRange = year2400Seconds + ((inRange - year2400Seconds) % secondsPerCycle);
  }
  const date = new Date(inRange * 1000);
  // Adding 0 turns the -0 of UTC into 0.
  if (inRange >= year1973Seconds) return 0 - date.getTimezoneOffset();
  // getTimezoneOffset drops seconds, the fields of the wall clock do not.
  const wall = new Date(0);
  wall.setUTCFullYear(date.getFullYear(), date.getMonth(), date.getDate());
  wall.setUTCHours(date.getHours(), date.getMinutes(), date.getSeconds());
  return (wall.getTime() - date.getTime()) / 60_000;
}

/**
 * Formats a time as Go's RFC3339Nano. An `offsetMinutes` of the time wins over the zone, so that what was
 * read is written as it was.
 * @see docs/FORMAT.md#times
 */
export function formatTime(time: Timestamp, zone: ZoneOffset): string {
  const target = new Uint8Array(timeSizeBytesMax);
  const end = new TimeFormatter(zone).put(target, 0, time);
  return Buffer.from(target.buffer, 0, end).toString('latin1');
}

/** Writes what `formatTime` gives straight into a byte array: 3 times a node. */
export class TimeFormatter {
  readonly #zone: ZoneOffset;

  constructor(zone: ZoneOffset) {
    this.#zone = zone;
  }

  /**
   * Writes a time at `target[start]`, which has room for `timeSizeBytesMax`.
   *
   * Years outside 0 to 9999 become the nearest of them, as restic does; the rest of the date stays.
   * @returns the offset after the last byte
   */
  put(target: Uint8Array, start: number, time: Timestamp): number {
    const offsetMinutes = time.offsetMinutes ?? this.#zone(time.seconds);
    const offsetSeconds = Math.round(offsetMinutes * 60);
    const wallSeconds = time.seconds + offsetSeconds;
    const day = Math.floor(wallSeconds / secondsPerDay);
    if (day < firstDay || day > lastDay) return this.put(target, start, this.#clampYear(time));
    let at = putDate(target, start, day);
    at = putTimeOfDay(target, at, wallSeconds - day * secondsPerDay);
    if (time.nanoseconds > 0) at = putFraction(target, at, time.nanoseconds);
    return putOffset(target, at, offsetSeconds);
  }

  /** restic's `FixTime`: the same wall clock in year 0 or 9999, with the offset that is valid there. */
  #clampYear(time: Timestamp): Timestamp {
    const zone = time.offsetMinutes === undefined ? this.#zone : () => time.offsetMinutes ?? 0;
    const wallSeconds = time.seconds + Math.round(zone(time.seconds) * 60);
    const day = Math.floor(wallSeconds / secondsPerDay);
    const { year, month, dayOfMonth } = civilFromDay(day);
    const clampedDay = dayFromCivil(year < 0 ? 0 : 9999, month, 1) + dayOfMonth - 1;
    const clamped = clampedDay * secondsPerDay + (wallSeconds - day * secondsPerDay);
    const offsetMinutes = zone(clamped - Math.round(zone(clamped) * 60));
    const seconds = clamped - Math.round(offsetMinutes * 60);
    return { seconds, nanoseconds: time.nanoseconds, offsetMinutes };
  }
}

function putDate(target: Uint8Array, at: number, day: number): number {
  const { year, month, dayOfMonth } = civilFromDay(day);
  const century = (year / 100) | 0;
  putTwo(target, at, century);
  putTwo(target, at + 2, year - century * 100);
  target[at + 4] = 0x2d;
  putTwo(target, at + 5, month);
  target[at + 7] = 0x2d;
  putTwo(target, at + 8, dayOfMonth);
  return at + 10;
}

function putTimeOfDay(target: Uint8Array, at: number, secondOfDay: number): number {
  const minuteOfDay = (secondOfDay / 60) | 0;
  const hour = (minuteOfDay / 60) | 0;
  target[at] = 0x54;
  putTwo(target, at + 1, hour);
  target[at + 3] = 0x3a;
  putTwo(target, at + 4, minuteOfDay - hour * 60);
  target[at + 6] = 0x3a;
  putTwo(target, at + 7, secondOfDay - minuteOfDay * 60);
  return at + 9;
}

function putOffset(target: Uint8Array, at: number, offsetSeconds: number): number {
  if (offsetSeconds === 0) {
    target[at] = 0x5a;
    return at + 1;
  }
  const offset = Math.trunc(offsetSeconds / 60);
  const size = Math.abs(offset);
  const hours = (size / 60) | 0;
  target[at] = offset < 0 ? 0x2d : 0x2b;
  putTwo(target, at + 1, hours);
  target[at + 3] = 0x3a;
  putTwo(target, at + 4, size - hours * 60);
  return at + 6;
}

function putTwo(target: Uint8Array, at: number, value: number): void {
  const tens = (value / 10) | 0;
  target[at] = 48 + tens;
  target[at + 1] = 48 + (value - tens * 10);
}

function putFraction(target: Uint8Array, at: number, nanoseconds: number): number {
  target[at] = 0x2e;
  let rest = nanoseconds;
  let last = 0;
  for (let i = 9; i > 0; i--) {
    const next = (rest / 10) | 0;
    const digit = rest - next * 10;
    target[at + i] = 48 + digit;
    if (digit !== 0 && last === 0) last = i;
    rest = next;
  }
  return at + 1 + last;
}

/**
 * Date of a day since 1970, in the Gregorian calendar without a beginning.
 * @see https://howardhinnant.github.io/date_algorithms.html (civil_from_days)
 */
export function civilFromDay(day: number): { year: number; month: number; dayOfMonth: number } {
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const a = dayOfEra - ((dayOfEra / 1460) | 0) + ((dayOfEra / 36_524) | 0);
  const yearOfEra = ((a - ((dayOfEra / 146_096) | 0)) / 365) | 0;
  const dayOfYear = dayOfEra - (365 * yearOfEra + ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0));
  const shiftedMonth = ((5 * dayOfYear + 2) / 153) | 0;
  const dayOfMonth = dayOfYear - (((153 * shiftedMonth + 2) / 5) | 0) + 1;
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfMonth };
}

/** Day since 1970 of a date with month 1 to 12; a day of the month beyond its end counts on into the next. */
export function dayFromCivil(year: number, month: number, dayOfMonth: number): number {
  const shiftedYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(shiftedYear / 400);
  const yearOfEra = shiftedYear - era * 400;
  const dayOfYear = (((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) | 0) + dayOfMonth - 1;
  const dayOfEra = yearOfEra * 365 + ((yearOfEra / 4) | 0) - ((yearOfEra / 100) | 0) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}

/**
 * Parses an RFC 3339 time as strictly as Go's JSON decoder; digits beyond the nanosecond are dropped.
 * @throws JSON_INVALID
 */
export function parseTime(text: string): Timestamp {
  const bytes = Buffer.from(text, 'utf8');
  const time = parseTimeBytes(bytes, 0, bytes.byteLength);
  if (time === undefined) {
    throw new HoldfastError('JSON_INVALID', {
      message: 'a time is not in the form of RFC 3339',
      details: { text: text.slice(0, 64) },
    });
  }
  return time;
}

/** `parseTime` of `bytes[start, end)`; undefined if it is no time. */
export function parseTimeBytes(
  bytes: Uint8Array,
  start: number,
  end: number,
): Timestamp | undefined {
  if (end - start < 20) return undefined;
  const day = parseDay(bytes, start);
  const hour = twoDigits(bytes, start + 11, 23);
  const minute = twoDigits(bytes, start + 14, 59);
  const second = twoDigits(bytes, start + 17, 59);
  const punctuation = bytes[start + 10] === 0x54 && bytes[start + 13] === 0x3a;
  if (day === undefined || !punctuation || bytes[start + 16] !== 0x3a) return undefined;
  if (hour < 0 || minute < 0 || second < 0) return undefined;
  let at = start + 19;
  let nanoseconds = 0;
  if (bytes[at] === 0x2e) {
    let scale = 100_000_000;
    const first = ++at;
    for (; at < end && isDigit(bytes[at]!); at++) {
      nanoseconds += (bytes[at]! - 48) * scale;
      scale = (scale / 10) | 0;
    }
    if (at === first) return undefined;
  }
  const offsetMinutes = parseOffset(bytes, at, end);
  if (offsetMinutes === undefined) return undefined;
  const seconds = day * secondsPerDay + hour * 3600 + minute * 60 + second - offsetMinutes * 60;
  return { seconds, nanoseconds, offsetMinutes };
}

function parseDay(bytes: Uint8Array, at: number): number | undefined {
  const century = twoDigits(bytes, at, 99);
  const yearOfCentury = twoDigits(bytes, at + 2, 99);
  const month = twoDigits(bytes, at + 5, 12);
  const dayOfMonth = twoDigits(bytes, at + 8, 31);
  if (century < 0 || yearOfCentury < 0 || month < 1 || dayOfMonth < 1) return undefined;
  if (bytes[at + 4] !== 0x2d || bytes[at + 7] !== 0x2d) return undefined;
  const year = century * 100 + yearOfCentury;
  if (dayOfMonth > 28) {
    const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
    const isShort = month === 4 || month === 6 || month === 9 || month === 11;
    const length = month === 2 ? (isLeap ? 29 : 28) : isShort ? 30 : 31;
    if (dayOfMonth > length) return undefined;
  }
  return dayFromCivil(year, month, dayOfMonth);
}

function parseOffset(bytes: Uint8Array, at: number, end: number): number | undefined {
  const sign = bytes[at];
  if (at >= end) return undefined;
  if (sign === 0x5a) return at + 1 === end ? 0 : undefined;
  if ((sign !== 0x2b && sign !== 0x2d) || at + 6 !== end || bytes[at + 3] !== 0x3a)
    return undefined;
  const hours = twoDigits(bytes, at + 1, 23);
  const minutes = twoDigits(bytes, at + 4, 59);
  if (hours < 0 || minutes < 0) return undefined;
  const size = hours * 60 + minutes;
  return sign === 0x2d && size > 0 ? -size : size;
}

/** Two digits as a number, or -1 if they are not or exceed `max`. */
function twoDigits(bytes: Uint8Array, at: number, max: number): number {
  const high = bytes[at]! - 48;
  const low = bytes[at + 1]! - 48;
  if (!(high >= 0 && high <= 9 && low >= 0 && low <= 9)) return -1;
  const value = high * 10 + low;
  return value <= max ? value : -1;
}

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57;
}
