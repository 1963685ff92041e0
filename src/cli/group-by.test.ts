import { expect, test } from 'vitest';
import { parseGroupBy } from './group-by.ts';

test('words choose what a group shares', () => {
  expect(parseGroupBy('host, path,tags')).toEqual({ host: true, paths: true, tags: true });
  expect(parseGroupBy('')).toEqual({ host: false, paths: false, tags: false });
});

test('unknown words are refused', () => {
  expect(() => parseGroupBy('hostname')).toThrow(/unknown grouping option "hostname"/);
});
