import { expect, test } from 'vitest';

import type { Snapshot } from './snapshot-codec.ts';
import { matches, type SnapshotFilter } from './snapshot-filter.ts';

const snapshot: Snapshot = {
  time: { seconds: 0, nanoseconds: 0 },
  tree: '00'.repeat(32),
  paths: ['/home', '/etc'],
  hostname: 'alpha',
  tags: ['daily', 'db'],
};
const untagged: Snapshot = { ...snapshot, tags: undefined, hostname: undefined };

test.each<[string, SnapshotFilter, boolean, boolean]>([
  ['nothing', {}, true, true],
  ['empty parts', { hosts: [], tags: [], paths: [] }, true, true],
  ['its host', { hosts: ['alpha'] }, true, false],
  ['any of the hosts', { hosts: ['beta', 'alpha'] }, true, false],
  ['no host', { hosts: [''] }, false, true],
  ['one tag', { tags: [['db']] }, true, false],
  ['all tags of a list', { tags: [['db', 'daily']] }, true, false],
  ['not all tags of a list', { tags: [['db', 'weekly']] }, false, false],
  ['any list', { tags: [['weekly'], ['db']] }, true, false],
  ['the empty tag', { tags: [['']] }, false, true],
  ['the empty tag or another', { tags: [[''], ['db']] }, true, true],
  ['one path', { paths: ['/etc'] }, true, true],
  ['all paths in any order', { paths: ['/etc', '/home'] }, true, true],
  ['a path that is not there', { paths: ['/etc', '/var'] }, false, false],
  ['a folder below a path', { paths: ['/home/anna'] }, false, false],
])('filters by %s', (_, filter, tagged, bare) => {
  expect(matches(snapshot, filter)).toBe(tagged);
  expect(matches(untagged, filter)).toBe(bare);
});
