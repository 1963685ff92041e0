import { expect, test } from 'vitest';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import { groupSnapshots } from './snapshot-groups.ts';

const record: Omit<StoredSnapshot, 'id' | 'paths'> = {
  tree: '0'.repeat(64),
  time: { seconds: 0, nanoseconds: 0 },
};

const all: StoredSnapshot[] = [
  { ...record, id: 'a', hostname: 'h1', paths: ['/x', '/y'] },
  { ...record, id: 'b', hostname: 'h2', paths: ['/x'] },
  { ...record, id: 'c', hostname: 'h1', paths: ['/y', '/x'], tags: ['t'] },
];

test('the order of paths and tags does not matter', () => {
  const groups = groupSnapshots(all, { host: true, paths: true, tags: false });
  expect(groups.map((group) => group.snapshots.map(({ id }) => id[0]))).toEqual([
    ['a', 'c'],
    ['b'],
  ]);
  expect(groups[0]).toMatchObject({ hostname: 'h1', paths: ['/x', '/y'], tags: undefined });
});

test('tags part, none joins all', () => {
  expect(groupSnapshots(all, { host: false, paths: false, tags: true })).toHaveLength(2);
  expect(groupSnapshots(all, { host: false, paths: false, tags: false })).toHaveLength(1);
});
