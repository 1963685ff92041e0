import { expect, test } from 'vitest';

import { parseRates } from './rate-timetable.ts';

/** The rate at a time of day, in this machine's zone, of the week that begins on Sunday, 1 March 2026. */
function at(text: string, day: number, time: number | string): number | undefined {
  const rates = parseRates(text);
  if (!rates) throw new Error(`not taken: ${text}`);
  const [hour, minute] = String(time).split(':').map(Number);
  return rates(new Date(2026, 2, 1 + day, hour, minute ?? 0).getTime());
}

test.each([
  ['512', 512 * 1024],
  ['2M', 2 * 1024 ** 2],
  ['1g', 1024 ** 3],
  ['0', undefined],
  ['off', undefined],
])('takes one rate, %s', (text, rate) => {
  expect(at(text, 3, 12)).toBe(rate);
});

test('holds each entry until the next, round the day', () => {
  const text = '08:00,512 19:00,10M  23:30,off';
  const rates = [0, 7, 8, 18, 19, 23].map((hour) => at(text, 2, hour));
  expect(rates).toEqual([
    undefined,
    undefined,
    512 * 1024,
    512 * 1024,
    10 * 1024 ** 2,
    10 * 1024 ** 2,
  ]);
  expect(at(text, 2, '23:29')).toBe(10 * 1024 ** 2);
  expect(at(text, 2, '23:30')).toBeUndefined();
});

test('takes days, round the week', () => {
  const text = 'Mon-08:00,512 fri-18:00,off';
  expect([0, 1, 3, 5, 6].map((day) => at(text, day, 12))).toEqual([
    undefined,
    512 * 1024,
    512 * 1024,
    512 * 1024,
    undefined,
  ]);
  expect(at(text, 5, 18)).toBeUndefined();
  expect(at(text, 1, '7:59')).toBeUndefined();
});

test.each([
  '',
  'fast',
  '-1',
  '1.5',
  '24:00,1',
  '08:60,1',
  '08:00',
  '08:00,x',
  '08:00,1 08:00,2',
  'Foo-08:00,1',
  '8:00,1;',
  '512 1024',
  '9999G',
])('takes no "%s"', (text) => {
  expect(parseRates(text)).toBeUndefined();
});
