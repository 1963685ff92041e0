import { expect, test } from 'vitest';
import { splitSnapshotPath } from '../engine/trees/snapshot-path.ts';
import { LsFilter } from './ls-filter.ts';

function shown(folders: string[], recursive: boolean, paths: string[]): string[] {
  const parts = folders.map((folder) => splitSnapshotPath(Buffer.from(folder)));
  const filter = new LsFilter(parts, recursive);
  return paths.filter((path) => filter.test(Buffer.from(path)).isShown);
}

const paths = ['/a', '/a/b', '/a/b/c', '/a/bc', '/d', '/d/e'];

test('a folder, and what lies directly in it', () => {
  expect(shown(['/a'], false, paths)).toEqual(['/a', '/a/b', '/a/bc']);
  expect(shown(['/a/b/'], false, paths)).toEqual(['/a/b', '/a/b/c']);
  expect(shown(['/d/e', '/a/bc'], false, paths)).toEqual(['/a/bc', '/d/e']);
});

test('everything below with --recursive', () => {
  expect(shown(['/a'], true, paths)).toEqual(['/a', '/a/b', '/a/b/c', '/a/bc']);
  expect(shown(['/'], true, paths)).toEqual(paths);
  expect(shown([], false, paths)).toEqual(paths);
});

test('only folders on the way are entered', () => {
  const filter = new LsFilter([splitSnapshotPath(Buffer.from('/a/b'))], false);
  const enters = (path: string): boolean => filter.test(Buffer.from(path)).mayEnter;
  expect(['/a', '/a/b', '/a/b/c', '/a/x', '/d'].map(enters)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});
