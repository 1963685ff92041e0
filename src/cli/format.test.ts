import { expect, test } from 'vitest';
import { formatPercent, formatSeconds } from './format.ts';

test.each([
  [0, '0:00'],
  [59.9, '0:59'],
  [65, '1:05'],
  [3600, '1:00:00'],
  [90_061, '25:01:01'],
  [-1, '0:00'],
])('%d seconds are %s', (seconds, text) => expect(formatSeconds(seconds)).toBe(text));

test('percent never passes 100', () => {
  expect(formatPercent(1, 3)).toBe('33.33%');
  expect(formatPercent(5, 4)).toBe('100.00%');
  expect(formatPercent(0, 0)).toBe('0.00%');
});
