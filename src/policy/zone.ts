import { Temporal } from 'temporal-polyfill';

/** The date on the wall at a moment. */
export function dateAt(ms: number, zone: string): Temporal.PlainDate {
  return zonedAt(ms, zone).toPlainDate();
}

/** Date, time and offset on the wall at a moment. */
export function zonedAt(ms: number, zone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(ms).toZonedDateTimeISO(zone);
}

/** What the wall shows, as if that were UTC. */
export function wallAsUtcMs(ms: number, zone: string): number {
  return zonedAt(ms, zone).toPlainDateTime().toZonedDateTime('UTC').epochMilliseconds;
}

/** The other way round. */
export function wallOfUtcMs(ms: number): Temporal.PlainDateTime {
  return zonedAt(ms, 'UTC').toPlainDateTime();
}

/**
 * When the wall shows this: two moments where a clock is set back, the earlier first; one after the gap where it is set forward
 * over it.
 */
export function momentsOf(wall: Temporal.PlainDateTime, zone: string): readonly number[] {
  const first = wall.toZonedDateTime(zone, { disambiguation: 'compatible' }).epochMilliseconds;
  const second = wall.toZonedDateTime(zone, { disambiguation: 'later' }).epochMilliseconds;
  return first === second ? [first] : [first, second];
}

/** The machine's own time zone, such as `Europe/Berlin`. */
export function machineZone(): string {
  return Temporal.Now.timeZoneId();
}

/** A moment for people, with its zone: `Tue 2026-11-24 02:30 CET`. */
export function momentText(ms: number, zone: string): string {
  const at = zonedAt(ms, zone);
  const parts = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    weekday: 'short',
    timeZoneName: 'short',
  }).formatToParts(ms);
  const part = (type: string): string => parts.find((one) => one.type === type)?.value ?? '';
  const clock = at.toPlainTime().toString({ smallestUnit: 'minute' });
  return `${part('weekday')} ${at.toPlainDate().toString()} ${clock} ${part('timeZoneName')}`;
}
