import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatTime, parseTime, utcZone } from '../../repository/time-format.ts';
import { formatSpan, parseSpan, spanBefore } from './calendar-span.ts';

describe('parseSpan', () => {
  test.each([
    ['1y5m7d2h', '1y5m7d2h'],
    ['2h7d', '7d2h'],
    ['1d3d', '3d'],
    ['007d', '7d'],
    [' 1d ', '1d'],
    ['0d', ''],
    ['', ''],
  ])('reads %j', (text, expected) => {
    const parsed = parseSpan(text);
    expect('span' in parsed && formatSpan(parsed.span)).toBe(expected);
  });

  test.each(['d', '3', '1w', '1d5', '1D', '+1d', '1.5d', '1d 2h', '-1d', '1d-1h', '100000d'])(
    'refuses %j',
    (text) => expect(parseSpan(text)).toHaveProperty('problem'),
  );
});

/** The zone of Berlin in 2026, as far as these tests go. */
function berlin(seconds: number): number {
  const isSummer = seconds >= 1_774_746_000 && seconds < 1_792_890_000;
  return isSummer ? 120 : 60;
}

describe('spanBefore', () => {
  test.each([
    // What the calendar does not have runs on into the next month.
    ['2026-03-31T12:00:00Z', '1m', '2026-03-03T12:00:00Z'],
    ['2024-02-29T00:00:00Z', '1y', '2023-03-01T00:00:00Z'],
    ['2026-01-15T00:00:00Z', '1m', '2025-12-15T00:00:00Z'],
    ['2026-01-15T00:00:00Z', '25m', '2023-12-15T00:00:00Z'],
    ['2026-03-01T01:00:00Z', '1d2h', '2026-02-27T23:00:00Z'],
    ['2026-01-01T00:30:00+02:00', '1m', '2025-11-30T22:30:00Z'],
    ['0001-01-01T00:00:00Z', '1y', '0000-01-01T00:00:00Z'],
  ])('%s less %s', (time, text, expected) => {
    const parsed = parseSpan(text);
    if ('problem' in parsed) throw new Error(parsed.problem);
    expect(formatTime(spanBefore(parseTime(time), parsed.span, utcZone), utcZone)).toBe(expected);
  });

  test('in the zone of this machine, days stay days when summer time ends', () => {
    const day = { years: 0, months: 0, days: 1, hours: 0 };
    const own = spanBefore(parseTime('2026-10-26T12:00:00+01:00'), day, berlin);
    expect(formatTime(own, utcZone)).toBe('2026-10-25T11:00:00Z');
    const across = spanBefore(parseTime('2026-10-25T12:00:00+01:00'), day, berlin);
    expect(formatTime(across, utcZone)).toBe('2026-10-24T10:00:00Z');
    const foreign = spanBefore(parseTime('2026-10-25T13:00:00+02:00'), day, berlin);
    expect(formatTime(foreign, utcZone)).toBe('2026-10-24T11:00:00Z');
  });

  test('a longer span never ends later', () => {
    const span = fc.record({
      years: fc.nat(300),
      months: fc.nat(300),
      days: fc.nat(9999),
      hours: fc.nat(9999),
    });
    const time = fc.record({
      seconds: fc.integer({ min: -2e9, max: 4e9 }),
      nanoseconds: fc.nat(999_999_999),
      offsetMinutes: fc.integer({ min: -840, max: 840 }),
    });
    fc.assert(
      fc.property(time, span, fc.nat(99), (at, shorter, days) => {
        const longer = { ...shorter, days: shorter.days + days };
        const far = spanBefore(at, longer, utcZone);
        const near = spanBefore(at, shorter, utcZone);
        expect(near.seconds - far.seconds).toBe(days * 86_400);
        expect(near.nanoseconds).toBe(at.nanoseconds);
        expect(near.seconds).toBeLessThanOrEqual(at.seconds);
      }),
    );
  });
});
