import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { displayWidth } from '../table.ts';
import { RateMeter } from './rate-meter.ts';
import { secondsLeft, shareDone, statusLines } from './status-lines.ts';

const options = { columns: 120, unit: 'files' };
const start = { filesDone: 0, bytesDone: 0, errorCount: 0, currentItems: [] };

describe('statusLines', () => {
  test('shows all that is known', () => {
    const progress = {
      filesDone: 1200,
      filesTotal: 5000,
      bytesDone: 1_000_000_000,
      bytesTotal: 4_000_000_000,
      errorCount: 2,
      currentItems: ['/home/anna/a', '/home/anna/b'],
    };
    const pace = { elapsedMs: 65_000, bytesPerSecond: 100_000_000 };
    expect(statusLines(progress, pace, options)).toEqual([
      '[1:05]  █████░░░░░░░░░░░░░░░  25.00%  1200 / 5000 files  953.674 MiB / 3.725 GiB  95.367 MiB/s  2 errors  0:30 left',
      '/home/anna/a',
      '/home/anna/b',
    ]);
  });

  test('shows nothing that is not known', () => {
    const pace = { elapsedMs: 900, bytesPerSecond: undefined };
    expect(statusLines({ ...start, filesDone: 3 }, pace, options)).toEqual(['[0:00]  3 files']);
  });

  test('never wraps', () => {
    const item = fc.string({ unit: 'grapheme', maxLength: 100 });
    fc.assert(
      fc.property(fc.array(item), fc.integer({ min: 2, max: 60 }), (currentItems, columns) => {
        const pace = { elapsedMs: 5000, bytesPerSecond: 1e6 };
        const lines = statusLines({ ...start, bytesDone: 5, currentItems }, pace, {
          ...options,
          columns,
        });
        for (const line of lines) expect(displayWidth(line)).toBeLessThan(columns);
      }),
    );
  });
});

test('the share is that of bytes, or else of files, and never above 1', () => {
  expect(shareDone({ ...start, bytesDone: 1, bytesTotal: 4, filesDone: 9, filesTotal: 10 })).toBe(
    0.25,
  );
  expect(shareDone({ ...start, filesDone: 5, filesTotal: 10 })).toBe(0.5);
  expect(shareDone({ ...start, bytesDone: 9, bytesTotal: 4 })).toBe(1);
  expect(shareDone(start)).toBeUndefined();
});

test('time left follows the pace', () => {
  const progress = { ...start, bytesDone: 100, bytesTotal: 1100 };
  expect(secondsLeft(progress, { elapsedMs: 1, bytesPerSecond: 100 })).toBe(10);
  expect(secondsLeft(progress, { elapsedMs: 1, bytesPerSecond: 0 })).toBeUndefined();
  expect(secondsLeft({ ...progress, bytesDone: 2000 }, { elapsedMs: 1, bytesPerSecond: 1 })).toBe(
    0,
  );
});

describe('RateMeter', () => {
  test('averages the last seconds', () => {
    const meter = new RateMeter();
    expect(meter.perSecond()).toBeUndefined();
    for (let ms = 0; ms <= 60_000; ms += 100)
      meter.add(ms, ms < 30_000 ? ms : 30_000 + (ms - 30_000) * 5);
    expect(meter.perSecond()).toBeCloseTo(5000, -1);
  });

  test('does not guess from an instant', () => {
    const meter = new RateMeter();
    meter.add(0, 0);
    meter.add(150, 1e9);
    expect(meter.perSecond()).toBeUndefined();
  });
});
