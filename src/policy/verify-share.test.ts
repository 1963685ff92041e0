import fc from 'fast-check';
import { expect, test } from 'vitest';
import { afterRead, freshVerify, oldestReadMs, partCount, partsToRead } from './verify-share.ts';

const dayMs = 86_400_000;

test('all is read within the time, in the same order, whatever runs are missed that leave time for it', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 60 }),
      fc.array(fc.boolean(), { minLength: 10, maxLength: 60 }),
      (withinDays, missed) => {
        const rule = { withinMs: withinDays * dayMs, gapMs: dayMs };
        const total = partCount(rule.withinMs, rule.gapMs);
        let progress = freshVerify(total);
        const order: number[] = [];
        // At most one run in a row is missed where the time leaves room for that.
        const mayMiss = withinDays > 1;
        for (const [day, isMissed] of missed.entries()) {
          if (isMissed && mayMiss && !missed[day - 1]) continue;
          const nowMs = day * dayMs;
          const parts = partsToRead(progress, rule, { nowMs, sinceMs: 0 });
          order.push(...parts);
          progress = afterRead(progress, parts, nowMs);
          const age = nowMs - oldestReadMs(progress, 0);
          expect(age).toBeLessThanOrEqual(rule.withinMs);
        }
        expect(order).toEqual(order.map((_, i) => (i % total) + 1));
      },
    ),
    { numRuns: 150 },
  );
});

test('a run each day reads one share, with one run to spare', () => {
  expect(partCount(30 * dayMs, dayMs)).toBe(29);
  expect(partCount(2 * dayMs, dayMs)).toBe(1);
  expect(partCount(dayMs, dayMs)).toBe(1);
  expect(partCount(1000 * dayMs, dayMs)).toBe(256);
  const rule = { withinMs: 30 * dayMs, gapMs: dayMs };
  expect(partsToRead(freshVerify(29), rule, { nowMs: 0, sinceMs: 0 })).toEqual([1]);
});

test('runs that come some time earlier or later each day read one share each', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 40 }),
      fc.array(fc.integer({ min: 0, max: dayMs / 6 }), { minLength: 20, maxLength: 90 }),
      (withinDays, shifts) => {
        const rule = { withinMs: withinDays * dayMs, gapMs: dayMs };
        let progress = freshVerify(partCount(rule.withinMs, rule.gapMs));
        for (const [day, shift] of shifts.entries()) {
          const nowMs = day * dayMs + shift;
          expect(nowMs - oldestReadMs(progress, 0)).toBeLessThanOrEqual(rule.withinMs);
          const parts = partsToRead(progress, rule, { nowMs, sinceMs: 0 });
          expect(parts.length).toBe(1);
          progress = afterRead(progress, parts, nowMs);
        }
      },
    ),
    { numRuns: 80 },
  );
});

test('who was away reads what would be too old before the next run', () => {
  const rule = { withinMs: 10 * dayMs, gapMs: dayMs };
  const progress = { total: 9, next: 4, readMs: [7, 8, 9, 1, 2, 3, 4, 5, 6].map((d) => d * dayMs) };
  const at = (day: number): number[] =>
    partsToRead(progress, rule, { nowMs: day * dayMs, sinceMs: 0 });
  expect(at(10)).toEqual([4]);
  expect(at(14)).toEqual([4, 5, 6, 7, 8]);
  expect(at(40)).toEqual([4, 5, 6, 7, 8, 9, 1, 2, 3]);
});
