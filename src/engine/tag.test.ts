import { saveSnapshot, testRepository } from '../repository/index-test-support.ts';
import { defined } from '../base/assert.ts';
import { systemEnvironment } from '../base/environment.ts';
import { loadIndexFiles } from '../repository/index-load.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import { assertWhole, behind, hourMs, prunable, prune, quiet } from './prune/prune-test-support.ts';
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
  const onChange = (one: object): unknown => changed.push(one);
  const loadIndex = (): Promise<IndexedRepository> => Promise.resolve(fixture.indexed);
  const request = { change, lock: undefined, onChange, loadIndex };
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
    loadIndex: () => Promise.resolve(fixture.indexed),
  } as const;
  await expect(tagSnapshots(repository, snapshots, request, fixture.context)).rejects.toThrow('no');
  expect(await loadSnapshots(repository)).toHaveLength(2);
});

test('where listings may be behind, a new snapshot leans on nothing that is marked', async () => {
  const { backend, kept } = await prunable();
  const [hidden, other] = kept;
  const old = defined(hidden, 'there are two');
  await prune(behind(backend, old.id));
  const repository = testRepository({ backend });
  const loadIndex = async (): Promise<IndexedRepository> => {
    const loaded = await loadIndexFiles(repository);
    return new IndexedRepository(repository, loaded.index, loaded);
  };
  const changed: string[] = [];
  const onChange = ({ newId }: { readonly newId: string }): unknown => changed.push(newId);
  const change = { kind: 'set', tags: ['x'] } as const;
  const request = { change, lock: undefined, loadIndex, onChange };
  const context = { environment: systemEnvironment, monitor: quiet };
  await tagSnapshots(repository, [old], request, context);
  const [id = ''] = changed;
  await prune(behind(backend, id), { laterMs: 25 * hourMs });
  await assertWhole(backend.files, [defined(other, 'there are two'), { id }]);
});
