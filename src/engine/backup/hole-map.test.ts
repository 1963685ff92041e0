import { expect, test } from 'vitest';
import fc from 'fast-check';
import { HoleMap } from './hole-map.ts';

test('agrees with looking at every run, in any order of questions', () => {
  const cuts = fc.uniqueArray(fc.integer({ min: 0, max: 1000 }), { minLength: 2, maxLength: 20 });
  const question = fc.tuple(fc.integer({ min: 0, max: 1000 }), fc.integer({ min: 1, max: 100 }));
  fc.assert(
    fc.property(cuts, fc.array(question, { maxLength: 30 }), (positions, questions) => {
      const sorted = positions.toSorted((a, b) => a - b);
      const runs = sorted.flatMap((start, i) =>
        i % 2 === 0 && i + 1 < sorted.length ? [{ start, end: sorted[i + 1] ?? 0 }] : [],
      );
      const map = new HoleMap(runs, 1000);
      for (const [start, length] of questions) {
        const end = start + length;
        const isHole = end <= 1000 && runs.every((run) => run.end <= start || run.start >= end);
        expect(map.isHole(start, end)).toBe(isHole);
      }
    }),
  );
});

test('a file without data is one hole', () => {
  expect(new HoleMap([], 4096).isHole(0, 4096)).toBe(true);
});
