import { expect, test } from 'vitest';
import { PackedNames, SortedNames } from '../../platform/sorted-names.ts';
import { NameSet } from './name-set.ts';

test('a set of names gives those that were not marked, in order', () => {
  const packed = new PackedNames();
  for (const name of 'jihgfedcba') packed.add(Buffer.from(name), 0, 1);
  const names = new NameSet(new SortedNames(packed));
  for (const name of ['a', 'x', 'd', 'i', 'aa']) names.mark(Buffer.from(name));
  const left = Array.from(names.unmarked(), (name) => Buffer.from(name).toString());
  expect(left.join('')).toBe('bcefghj');
  const has = (letter: string): boolean =>
    names.hasUnmarked((name) => name[0] === letter.charCodeAt(0));
  expect([has('a'), has('b'), has('j')]).toEqual([false, true, true]);
});
