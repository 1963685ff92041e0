/** Bytes per second that may pass at a time, milliseconds since 1970; undefined: no limit. */
export type RateAt = (wallMs: number) => number | undefined;

interface Entry {
  /** Of the week, from the first minute of Sunday on. */
  readonly minute: number;
  readonly bytesPerSecond: number | undefined;
}

const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];
const dayMinutes = 24 * 60;
const units: Readonly<Record<string, number>> = { '': 1024, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };
const bytesPerSecondMax = 1e12;
const entryPattern =
  /^(?:(?<day>sun|mon|tue|wed|thu|fri|sat)-)?(?<hour>[0-9]{1,2}):(?<minute>[0-9]{2}),(?<rate>[0-9A-Za-z]+)$/i;

/**
 * Reads a limit of a rate: one for all times (`512`, in KiB/s, or `2M`), or a timetable as rclone has it, `08:00,512 19:00,10M 23:00,off`,
 * also with days, `Mon-08:00,512 Fri-18:00,off`. An entry holds until the next, and the last of a week into the next one; the times are those
 * of this machine's time zone. 0 and `off`: no limit.
 * @returns undefined if it is none
 */
export function parseRates(text: string): RateAt | undefined {
  const always = parseRate(text.trim());
  if (always) return () => always.bytesPerSecond;
  const entries: Entry[] = [];
  for (const word of text.trim().split(/\s+/)) {
    const some = parseEntry(word);
    if (!some) return undefined;
    entries.push(...some);
  }
  entries.sort((a, b) => a.minute - b.minute);
  const isTwice = entries.some(({ minute }, i) => entries[i + 1]?.minute === minute);
  return isTwice ? undefined : (wallMs) => rateOf(entries, minuteOfWeek(wallMs));
}

function parseEntry(word: string): Entry[] | undefined {
  const { day, hour, minute, rate } = entryPattern.exec(word)?.groups ?? {};
  const parsed = parseRate(rate ?? '');
  if (!parsed || Number(hour) > 23 || Number(minute) > 59) return undefined;
  const ofDay = Number(hour) * 60 + Number(minute);
  const which = day === undefined ? [...days.keys()] : [days.indexOf(day.toLowerCase())];
  return which.map((number) => ({ minute: number * dayMinutes + ofDay, ...parsed }));
}

function parseRate(text: string): Pick<Entry, 'bytesPerSecond'> | undefined {
  if (text.toLowerCase() === 'off') return { bytesPerSecond: undefined };
  const [, digits = '', unit = ''] = /^([0-9]{1,12})([KMG]?)$/i.exec(text) ?? [];
  const bytesPerSecond = Number(digits) * (units[unit.toUpperCase()] ?? 0);
  if (digits === '' || bytesPerSecond > bytesPerSecondMax) return undefined;
  return { bytesPerSecond: bytesPerSecond === 0 ? undefined : bytesPerSecond };
}

function minuteOfWeek(wallMs: number): number {
  const time = new Date(wallMs);
  return time.getDay() * dayMinutes + time.getHours() * 60 + time.getMinutes();
}

function rateOf(entries: readonly Entry[], minute: number): number | undefined {
  const entry = entries.findLast((one) => one.minute <= minute) ?? entries.at(-1);
  return entry?.bytesPerSecond;
}
