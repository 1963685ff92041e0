import { saveSnapshot } from '../repository/index-test-support.ts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { loadSnapshots } from '../repository/snapshots.ts';
import { changeTags, tagSnapshots } from './tag.ts';
import { TreeFixture } from './tree-test-support.ts';

describe('changeTags', () => {
  test.each([
    [['a'], { kind: 'set', tags: ['b', 'c'] }, ['b', 'c']],
    [['a'], { kind: 'edit', add: ['a'], remove: [] }, undefined],
    [['a'], { kind: 'edit', add: ['b', 'b'], remove: [] }, ['a', 'b']],
    [['a', 'b', 'c'], { kind: 'edit', add: [], remove: ['a'] }, ['c', 'b']],
    [['a', 'b', 'a'], { kind: 'edit', add: [], remove: ['a'] }, ['b']],
    [['a'], { kind: 'edit', add: [], remove: ['x'] }, undefined],
    [['a'], { kind: 'edit', add: ['b'], remove: ['a'] }, ['b']],
  ] as const)('%j with %j', (tags, change, expected) => {
    expect(changeTags(tags, change)).toEqual(expected);
  });

  test('leaves nothing that was removed and all else', () => {
    const list = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 6 });
    fc.assert(
      fc.property(list, list, list, (tags, add, remove) => {
        const result = changeTags(tags, { kind: 'edit', add, remove }) ?? tags;
        const expected = new Set([...tags, ...add].filter((tag) => !remove.includes(tag)));
        expect(new Set(result)).toEqual(expected);
      }),
    );
  });
});

test('a snapshot is stored anew before the old one is removed', async () => {
  const fixture = await TreeFixture.create();
  const { repository } = fixture.indexed;
  const snapshot = {
    time: { seconds: 1, nanoseconds: 0, offsetMinutes: 0 },
    tree: '0'.repeat(64),
    paths: ['/a'],
    tags: ['one'],
  };
  const original = await saveSnapshot(repository, snapshot);
  await saveSnapshot(repository, { ...snapshot, paths: ['/b'], tags: ['two'] });
  const changed: object[] = [];
  const change = { kind: 'edit', add: ['two'], remove: [] } as const;
  const request = { change, lock: undefined, onChange: (one: object) => changed.push(one) };
  const count = await tagSnapshots(
    repository,
    await loadSnapshots(repository),
    request,
    fixture.context,
  );
  expect(count).toBe(1);
  const after = await loadSnapshots(repository);
  const tagged = after.find(({ paths }) => paths[0] === '/a');
  expect(tagged).toMatchObject({ tags: ['one', 'two'], original });
  expect(changed).toEqual([{ oldId: original, newId: tagged?.id }]);
  expect(after).toHaveLength(2);
});

test('if the old one cannot be removed, both are there', async () => {
  const fixture = await TreeFixture.create();
  const { repository } = fixture.indexed;
  const time = { seconds: 1, nanoseconds: 0, offsetMinutes: 0 };
  await saveSnapshot(repository, { time, tree: '0'.repeat(64), paths: [] });
  const snapshots = await loadSnapshots(repository);
  fixture.backend.remove = () => Promise.reject(new Error('no'));
  const request = {
    change: { kind: 'set', tags: ['x'] },
    lock: undefined,
    onChange: () => {},
  } as const;
  await expect(tagSnapshots(repository, snapshots, request, fixture.context)).rejects.toThrow('no');
  expect(await loadSnapshots(repository)).toHaveLength(2);
});
