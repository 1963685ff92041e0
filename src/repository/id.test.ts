import { describe, expect, test } from 'vitest';
import { isId, shortId } from './id.ts';

const id = 'ac08ce34ba4f8123618661bef2425f7028ffb9ac740578a3ee88684d2523fee8';

describe('isId', () => {
  test('takes 64 lower-case hex digits and nothing else', () => {
    expect(isId(id)).toBe(true);
    for (const other of [
      '',
      id.slice(1),
      `${id}0`,
      id.toUpperCase(),
      `${id}\n`,
      `../${id.slice(3)}`,
    ]) {
      expect(isId(other)).toBe(false);
    }
  });
});

test('shortId gives 8 digits', () => {
  expect(shortId(id)).toBe('ac08ce34');
});
