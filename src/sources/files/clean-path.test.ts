import { expect, it } from 'vitest';
import { absolutePath, cleanPath, componentsOf, joinPath } from './clean-path.ts';

it.each([
  ['', '.'],
  ['.', '.'],
  ['/', '/'],
  ['//a//b/', '/a/b'],
  ['a/../../b', '../b'],
  ['../../x', '../../x'],
  ['/../x', '/x'],
  ['a/./b/..', 'a'],
  ['a/..', '.'],
  ['...', '...'],
])('cleans %j to %j', (path, cleaned) => expect(cleanPath(path)).toBe(cleaned));

it('joins and splits', () => {
  expect(joinPath('..', 'a')).toBe('../a');
  expect(joinPath('', 'a')).toBe('a');
  expect(joinPath('.', 'a')).toBe('a');
  expect(joinPath('/', 'a')).toBe('/a');
  expect(absolutePath('../a', '/x/y')).toBe('/x/a');
  expect(absolutePath('/a/', '/x/y')).toBe('/a');
  expect(componentsOf('/a/b')).toEqual(['a', 'b']);
  expect(componentsOf('.')).toEqual([]);
});
