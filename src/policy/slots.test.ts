import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Rhythm } from '../contracts/rhythm.ts';
import { longestGapMs, slotsOf } from './slots.ts';
import { wallAsUtcMs } from './zone.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Zones with clocks that change by an hour, by half of one, at midnight, in the south, by a whole day (Apia, 2011), and never. */
const zones = [
  'Europe/Berlin',
  'America/New_York',
  'Australia/Lord_Howe',
  'America/Sao_Paulo',
  'America/Santiago',
  'Africa/Cairo',
  'Pacific/Apia',
  'Asia/Kathmandu',
  'UTC',
];

const at = (text: string): number => Date.parse(text);
const iso = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString();

function following(rhythm: Rhythm, zone: string, from: string): (count: number) => string[] {
  const slots = slotsOf(rhythm, zone);
  return (count) => {
    const found: string[] = [];
    for (let ms = slots.next(at(from)); ms !== undefined && found.length < count; ) {
      found.push(new Date(ms).toISOString());
      ms = slots.next(ms);
    }
    return found;
  };
}

const timeOfDay = fc
  .tuple(fc.integer({ min: 0, max: 23 }), fc.integer({ min: 0, max: 59 }))
  .map(([hour, minute]) => `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`);
const times = fc.uniqueArray(timeOfDay, { minLength: 1, maxLength: 4 });

const rhythm: fc.Arbitrary<Rhythm> = fc.oneof(
  fc.integer({ min: 5, max: 10_000 }).map((minutes) => ({ every: `${minutes}m` })),
  times.map((daily) => ({ daily })),
  fc.record({
    weekly: fc.record({
      on: fc.subarray(['mon', 'thu', 'sun'] as const, { minLength: 1 }),
      at: times,
    }),
  }),
  fc.record({
    monthly: fc.record({
      on: fc.subarray([1, 15, 29, 30, 31, 'last'] as const, { minLength: 1 }),
      at: times,
    }),
  }),
  fc.record({
    yearly: fc.record({
      on: fc.subarray(['01-01', '02-29', '03-31', '10-25'], { minLength: 1 }),
      at: times,
    }),
  }),
  fc
    .constantFrom('30 2 * * *', '0 * * * *', '15 1,2,3 * * mon-fri', '0 0 L * *', '59 23 31 12 *')
    .map((cron) => ({ cron })),
);

/** From 2009 to 2030, often near a change of clocks. */
const moment = fc.oneof(
  fc.integer({ min: at('2009-01-01T00:00Z'), max: at('2030-01-01T00:00Z') }),
  fc
    .tuple(
      fc.constantFrom(
        '2026-03-29T01:00Z',
        '2026-10-25T01:00Z',
        '2026-03-08T07:00Z',
        '2026-11-01T06:00Z',
        '2011-12-30T10:00Z',
        '2026-04-04T15:00Z',
        '2018-11-04T03:00Z',
        '2026-04-24T00:00Z',
      ),
      fc.integer({ min: -26 * hourMs, max: 26 * hourMs }),
    )
    .map(([text, shift]) => at(text) + shift),
);

test('last and next are neighbours: nothing lies between, and each finds the other', () => {
  fc.assert(
    fc.property(rhythm, fc.constantFrom(...zones), moment, (one, zone, ms) => {
      const slots = slotsOf(one, zone);
      const [last, next] = [slots.last(ms), slots.next(ms)];
      expect(last).toBeLessThanOrEqual(ms);
      expect(next).toBeGreaterThan(ms);
      if (last === undefined || next === undefined) throw new Error('a rhythm has slots for ever');
      expect(iso(slots.next(last))).toBe(iso(next));
      expect(iso(slots.last(next - 1))).toBe(iso(last));
      expect(slots.last(next)).toBe(next);
    }),
    { numRuns: 300 },
  );
});

test('a daily time comes exactly once on each day that its zone has', () => {
  fc.assert(
    fc.property(timeOfDay, fc.constantFrom(...zones), moment, (time, zone, ms) => {
      const slots = slotsOf({ daily: [time] }, zone);
      const days = new Map<number, number>();
      const start = slots.last(ms) ?? 0;
      for (let slot = start, i = 0; i < 4; i++, slot = slots.next(slot) ?? 0) {
        const wall = wallAsUtcMs(slot, zone);
        const day = Math.floor(wall / dayMs);
        days.set(day, (days.get(day) ?? 0) + 1);
      }
      expect([...days.values()]).toEqual([1, 1, 1, 1]);
      const numbers = [...days.keys()];
      // Apia had no 30 December in 2011.
      const jumps = numbers.slice(1).map((day, i) => day - (numbers[i] ?? 0));
      expect(jumps.every((jump) => jump === 1 || (zone === 'Pacific/Apia' && jump === 2))).toBe(
        true,
      );
    }),
    { numRuns: 200 },
  );
});

test('even distances are even, whatever clocks do', () => {
  expect(
    following({ every: '6h' }, 'Europe/Berlin', '2026-03-28T20:00Z')(6),
  ).toMatchInlineSnapshot(`
    [
      "2026-03-28T23:00:00.000Z",
      "2026-03-29T05:00:00.000Z",
      "2026-03-29T11:00:00.000Z",
      "2026-03-29T17:00:00.000Z",
      "2026-03-29T23:00:00.000Z",
      "2026-03-30T05:00:00.000Z",
    ]
  `);
});

test('a time in a gap comes after it, a doubled one the first time', () => {
  expect(following({ daily: ['02:30'] }, 'Europe/Berlin', '2026-03-28T00:00Z')(3)).toEqual([
    '2026-03-28T01:30:00.000Z',
    '2026-03-29T01:30:00.000Z',
    '2026-03-30T00:30:00.000Z',
  ]);
  expect(following({ daily: ['02:30'] }, 'Europe/Berlin', '2026-10-24T12:00Z')(2)).toEqual([
    '2026-10-25T00:30:00.000Z',
    '2026-10-26T01:30:00.000Z',
  ]);
});

test('cron: a named hour is there once, every hour also in the doubled one', () => {
  expect(following({ cron: '30 2 * * *' }, 'Europe/Berlin', '2026-10-24T12:00Z')(2)).toEqual([
    '2026-10-25T00:30:00.000Z',
    '2026-10-26T01:30:00.000Z',
  ]);
  expect(following({ cron: '0 * * * *' }, 'Europe/Berlin', '2026-10-24T23:30Z')(4)).toEqual([
    '2026-10-25T00:00:00.000Z',
    '2026-10-25T01:00:00.000Z',
    '2026-10-25T02:00:00.000Z',
    '2026-10-25T03:00:00.000Z',
  ]);
  expect(following({ cron: '0 * * * *' }, 'Europe/Berlin', '2026-03-29T00:00Z')(2)).toEqual([
    '2026-03-29T01:00:00.000Z',
    '2026-03-29T02:00:00.000Z',
  ]);
  expect(slotsOf({ cron: '0 0 31 2 *' }, 'UTC').next(at('2026-01-01'))).toBeUndefined();
  expect(() => slotsOf({ cron: '61 * * * *' }, 'UTC')).toThrow(/is no cron expression/);
});

test('of a month that is too short the last day stands in', () => {
  const rhythm31: Rhythm = { monthly: { on: [31], at: ['03:00'] } };
  expect(following(rhythm31, 'UTC', '2027-01-15T00:00Z')(4)).toEqual([
    '2027-01-31T03:00:00.000Z',
    '2027-02-28T03:00:00.000Z',
    '2027-03-31T03:00:00.000Z',
    '2027-04-30T03:00:00.000Z',
  ]);
  const leap: Rhythm = { yearly: { on: ['02-29'], at: ['00:00'] } };
  expect(following(leap, 'UTC', '2027-01-01T00:00Z')(2)).toEqual([
    '2027-02-28T00:00:00.000Z',
    '2028-02-29T00:00:00.000Z',
  ]);
});

test('the longest gap of a rhythm', () => {
  const from = at('2026-11-24T00:00Z');
  expect(longestGapMs(slotsOf({ every: '6h' }, 'UTC'), from)).toBe(6 * hourMs);
  const twice: Rhythm = { weekly: { on: ['mon', 'thu'], at: ['02:00'] } };
  expect(longestGapMs(slotsOf(twice, 'UTC'), from)).toBe(4 * dayMs);
});
