import { describe, expect, test } from 'vitest';
import * as fc from 'fast-check';
import type { Timestamp } from '../base/timestamp.ts';
import { createLocalZone, formatTime, parseTime, utcZone, zeroTime } from './time-format.ts';

function at(iso: string, nanoseconds = 0): Timestamp {
  return { seconds: Date.parse(iso) / 1000, nanoseconds };
}

/** Runs with another zone, which Node takes over when `TZ` is assigned. */
function inZone<T>(name: string, run: () => T): T {
  const before = process.env['TZ'];
  process.env['TZ'] = name;
  try {
    return run();
  } finally {
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  }
}

describe('formatTime', () => {
  test('trims the fraction and writes Z only for UTC', () => {
    const time = at('2024-02-29T23:59:58Z', 120_000_000);
    expect(formatTime(time, utcZone)).toBe('2024-02-29T23:59:58.12Z');
    expect(formatTime({ ...time, nanoseconds: 0 }, () => 120)).toBe('2024-03-01T01:59:58+02:00');
    expect(formatTime({ ...time, nanoseconds: 1 }, () => -210)).toBe(
      '2024-02-29T20:29:58.000000001-03:30',
    );
    expect(formatTime({ ...time, nanoseconds: 999_999_999 }, () => 345)).toBe(
      '2024-03-01T05:44:58.999999999+05:45',
    );
  });

  test('prefers the offset that the time was read with', () => {
    expect(formatTime({ ...at('2024-06-01T00:00:00Z'), offsetMinutes: -60 }, () => 120)).toBe(
      '2024-05-31T23:00:00-01:00',
    );
  });

  test('writes times before 1970 and the zero time', () => {
    expect(formatTime({ seconds: -1, nanoseconds: 999_999_999 }, utcZone)).toBe(
      '1969-12-31T23:59:59.999999999Z',
    );
    expect(formatTime(zeroTime, utcZone)).toBe('0001-01-01T00:00:00Z');
    expect(formatTime(at('0000-01-01T00:00:00Z'), utcZone)).toBe('0000-01-01T00:00:00Z');
  });

  test('drops the seconds of a historic offset from the offset only', () => {
    expect(formatTime(at('1874-12-07T18:40:00Z'), () => 53 + 28 / 60)).toBe(
      '1874-12-07T19:33:28+00:53',
    );
    expect(formatTime(at('1970-01-01T00:00:00Z'), () => -44.5)).toBe('1969-12-31T23:15:30-00:44');
    expect(formatTime(at('1970-01-01T00:00:00Z'), () => -0.5)).toBe('1969-12-31T23:59:30+00:00');
  });

  test('clamps years to 0 and 9999', () => {
    expect(formatTime({ seconds: 99_999_999_999_999, nanoseconds: 7 }, utcZone)).toMatch(
      /^9999-\d\d-\d\dT\d\d:\d\d:\d\d\.000000007Z$/,
    );
    expect(formatTime({ seconds: Date.UTC(12_024, 1, 29) / 1000, nanoseconds: 0 }, () => 60)).toBe(
      '9999-03-01T01:00:00+01:00',
    );
    expect(formatTime({ seconds: Date.UTC(-4, 1, 29) / 1000, nanoseconds: 0 }, utcZone)).toBe(
      '0000-02-29T00:00:00Z',
    );
    expect(formatTime({ seconds: -(2 ** 52), nanoseconds: 0 }, utcZone)).toMatch(/^0000-/);
  });

  test('equals Date for every instant that Date can show in UTC', () => {
    const ms = fc.integer({ min: Date.UTC(1, 0), max: Date.UTC(9999, 11, 31) });
    fc.assert(
      fc.property(ms, (instant) => {
        const seconds = Math.floor(instant / 1000);
        const expected = new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
        expect(formatTime({ seconds, nanoseconds: 0 }, utcZone)).toBe(expected);
      }),
    );
  });
});

describe('parseTime', () => {
  test('reads back what formatTime wrote, with its offset', () => {
    const time = fc.record({
      seconds: fc.integer({ min: -62_135_500_000, max: 253_402_200_000 }),
      nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
      offsetMinutes: fc.integer({ min: -840, max: 840 }),
    });
    fc.assert(
      fc.property(time, (value) => {
        expect(parseTime(formatTime(value, utcZone))).toEqual(value);
      }),
    );
  });

  test('drops digits beyond the nanosecond and reads odd offsets', () => {
    expect(parseTime('2024-01-01T00:00:00.1234567899Z').nanoseconds).toBe(123_456_789);
    expect(parseTime('2024-01-01T00:00:00-00:00').offsetMinutes).toBe(0);
    expect(parseTime('2024-01-01T00:00:00+23:59').offsetMinutes).toBe(1439);
  });

  test.each([
    '',
    '2024-01-01',
    '2024-01-01T00:00:00',
    '2024-01-01t00:00:00Z',
    '2024-01-01T00:00:00z',
    '2024-01-01T00:00:00Zx',
    '2024-01-01T00:00:00.Z',
    '2024-01-01T00:00:00,5Z',
    '2024-01-01T24:00:00Z',
    '2024-01-01T00:60:00Z',
    '2024-01-01T00:00:60Z',
    '2024-00-01T00:00:00Z',
    '2024-13-01T00:00:00Z',
    '2024-01-00T00:00:00Z',
    '2023-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2024-04-31T00:00:00Z',
    '2024-01-01T00:00:00+24:00',
    '2024-01-01T00:00:00+1:00',
    '2024-01-01T00:00:00+01:0',
    '2024-01-01T00:00:00+01000',
    '12024-01-01T00:00:00Z',
    '-024-01-01T00:00:00Z',
  ])('refuses %j', (text) => {
    expect(() => parseTime(text)).toThrowError(expect.objectContaining({ code: 'JSON_INVALID' }));
  });
});

describe('localZone', () => {
  test('gives the offset that is valid at the instant', () => {
    inZone('Europe/Berlin', () => {
      const zone = createLocalZone();
      expect(zone(at('2024-01-01T00:00:00Z').seconds)).toBe(60);
      expect(zone(at('2024-07-01T00:00:00Z').seconds)).toBe(120);
      // The change is at 01:00 UTC; asking twice also asks the cache.
      for (let round = 0; round < 2; round++) {
        expect(zone(at('2024-03-31T00:59:59Z').seconds)).toBe(60);
        expect(zone(at('2024-03-31T01:00:00Z').seconds)).toBe(120);
      }
      expect(formatTime(at('1874-12-07T18:40:00Z'), zone)).toBe('1874-12-07T19:33:28+00:53');
      // Far beyond the range of Date: year 4,000,000 in winter and in summer.
      const cycle = 400 * 365.2425 * 86_400;
      expect(zone(at('2024-01-01T00:00:00Z').seconds + 10_000 * cycle)).toBe(60);
      expect(zone(at('2024-07-01T00:00:00Z').seconds + 10_000 * cycle)).toBe(120);
    });
  });

  test('changes at odd minutes are exact', () => {
    inZone('America/St_Johns', () => {
      const zone = createLocalZone();
      // Until 2011 Newfoundland changed one minute after midnight.
      expect(zone(at('2010-03-14T03:30:59Z').seconds)).toBe(-210);
      expect(zone(at('2010-03-14T03:31:00Z').seconds)).toBe(-150);
    });
  });

  test('agrees with Date at any instant', () => {
    inZone('Africa/Monrovia', () => {
      const zone = createLocalZone();
      expect(zone(0)).toBe(-44.5);
      const seconds = fc.integer({ min: 94_694_400, max: 4_000_000_000 });
      fc.assert(
        fc.property(seconds, (value) => {
          expect(zone(value)).toBe(0 - new Date(value * 1000).getTimezoneOffset());
        }),
      );
    });
  });
});
