import fc from 'fast-check';
import { expect, test } from 'vitest';
import { editDistance, nearest } from './suggest.ts';

test('editDistance counts edits', () => {
  expect(editDistance('kitten', 'sitting')).toBe(3);
  expect(editDistance('repo', 'rpeo')).toBe(1);
  expect(editDistance('', 'abc')).toBe(3);
  expect(editDistance('same', 'same')).toBe(0);
});

test('editDistance is symmetric and bounded by the longer word', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 8 });
  fc.assert(
    fc.property(word, word, (a, b) => {
      expect(editDistance(a, b)).toBe(editDistance(b, a));
      expect(editDistance(a, b)).toBeLessThanOrEqual(Math.max(a.length, b.length));
      expect(editDistance(a, b) === 0).toBe(a === b);
    }),
  );
});

test('nearest finds what was meant and nothing far-fetched', () => {
  const known = ['password-file', 'password-command', 'pack-size', 'json'];
  expect(nearest('pasword-file', known)).toBe('password-file');
  expect(nearest('jsno', known)).toBe('json');
  expect(nearest('pack', known)).toBe('pack-size');
  expect(nearest('bogus', known)).toBeUndefined();
});
