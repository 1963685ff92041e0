import { expect, test } from 'vitest';
import { parsePersonTime } from './parse-time.ts';

// Noon UTC on the last day of January 2026.
const noonUtc = Date.UTC(2026, 0, 31, 12) / 1000;

/** What a clock on this machine shows as seconds, like `Date.UTC` would take it. */
function local(year: number, month: number, ...rest: number[]): number {
  return new Date(year, month, ...(rest as [number])).getTime() / 1000;
}

test('without a zone it is local time', () => {
  expect(parsePersonTime('2026-01-31', '--time').seconds).toBe(local(2026, 0, 31));
  expect(parsePersonTime('2026-07-31 18:05', '--time').seconds).toBe(local(2026, 6, 31, 18, 5));
  expect(parsePersonTime('2012-11-01 22:08:41', '--time').seconds).toBe(
    local(2012, 10, 1, 22, 8, 41),
  );
  expect(parsePersonTime('31.01.2026 18:05', '--time').seconds).toBe(local(2026, 0, 31, 18, 5));
});

test('a zone is taken', () => {
  for (const text of [
    '2026-01-31 12:00:00 UTC',
    '2026-01-31 13:00:00 +01:00',
    '2026-01-31 13:00:00 +0100',
    '2026-01-31T12:00:00Z',
    '2026-01-31T12:00:00.000Z',
  ]) {
    expect(parsePersonTime(text, '--time').seconds, text).toBe(noonUtc);
  }
});

test.each(['', 'yesterday', '2026', '2026-13-01', '2026-02-30', '2026-01-31 25:00', '1.2.2026'])(
  'refuses %j',
  (text) => expect(() => parsePersonTime(text, '--time')).toThrow(/"--time"/),
);
