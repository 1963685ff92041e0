import { IndexedRepository } from '../../repository/indexed.ts';
import { systemEnvironment } from '../../base/environment.ts';
import { Repository } from '../../repository/repository.ts';
import { fault } from '../../storage/fault.ts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { walkTree } from './walk-paths.ts';
import { TreeFixture, type TreeSpec } from '../tree-test-support.ts';

function text(path: Uint8Array): string {
  return Buffer.from(path).toString();
}

async function walked(fixture: TreeFixture, root: Uint8Array, skip?: string): Promise<string[]> {
  const calls: string[] = [];
  await walkTree(
    fixture.indexed,
    root,
    {
      enter: (path) => {
        calls.push(`enter ${text(path)}`);
        return true;
      },
      node: ({ path }) => {
        calls.push(text(path));
        return text(path) !== skip;
      },
      leave: (path, isRead) => {
        calls.push(`leave ${text(path)}${isRead ? '' : ' unread'}`);
      },
    },
    fixture.context,
  );
  return calls;
}

test('a walk goes depth first, in the order of names', async () => {
  const fixture = await TreeFixture.create();
  const root = await fixture.put({ b: 'x', a: { c: { d: 'y' }, e: {} } });
  expect(await walked(fixture, root, '/a/c')).toMatchInlineSnapshot(`
    [
      "enter ",
      "/a",
      "enter /a",
      "/a/c",
      "/a/e",
      "enter /a/e",
      "leave /a/e",
      "leave /a",
      "/b",
      "leave ",
    ]
  `);
});

test('a folder that cannot be read is told, and the rest is visited', async () => {
  const fixture = await TreeFixture.create();
  const lost = await fixture.put({ inner: 'x' });
  const root = await fixture.put({ a: { inner: 'x' }, b: 'y' });
  fixture.lose('tree', lost);
  expect(await walked(fixture, root)).toEqual([
    'enter ',
    '/a',
    'enter /a',
    'leave /a unread',
    '/b',
    'leave ',
  ]);
  expect(fixture.problems.map(({ item }) => item)).toEqual(['/a']);
});

test('a folder that the storage fails to read is told as well; a storage that is gone ends the walk', async () => {
  const fixture = await TreeFixture.create();
  await fixture.put({ inner: 'x' });
  const root = await fixture.put({ a: { inner: 'x' }, b: 'y' });
  for (const code of ['BACKEND_READ_FAILED', 'BACKEND_UNAVAILABLE'] as const) {
    const rule = { operation: 'get', type: 'pack', call: 2, count: Infinity } as const;
    const backend = fault(fixture.backend, [{ ...rule, fault: { kind: 'error', code } }]);
    const { index, repository } = fixture.indexed;
    const options = { environment: systemEnvironment, password: new Uint8Array() };
    const { config, keyId, masterKey } = repository;
    const faulty = new Repository({ backend, config, keyId, masterKey, options });
    const indexed = new IndexedRepository(faulty, index);
    const paths: string[] = [];
    const visitor = { node: ({ path }: { path: Uint8Array }) => void paths.push(text(path)) };
    const walk = walkTree(indexed, root, visitor, fixture.context);
    if (code === 'BACKEND_UNAVAILABLE') await expect(walk).rejects.toMatchObject({ code });
    else await walk;
    expect(paths).toEqual(code === 'BACKEND_UNAVAILABLE' ? ['/a'] : ['/a', '/b']);
  }
  expect(fixture.problems.map(({ item }) => item)).toEqual(['/a']);
});

/** The JSON of an empty file. */
function nodeJson(name: string): string {
  const time = '"2001-09-09T01:46:40Z"';
  const times = `"mtime":${time},"atime":${time},"ctime":${time}`;
  return `{"name":"${name}","type":"file","mode":420,${times},"uid":0,"gid":0,"content":[]}`;
}

test('an entry with a name that leads elsewhere is told and left out', async () => {
  const fixture = await TreeFixture.create();
  const json = `{"nodes":[${['..', 'a/b', 'good'].map(nodeJson).join(',')}]}\n`;
  const root = await fixture.blob('tree', Buffer.from(json));
  expect(await walked(fixture, root)).toEqual(['enter ', '/good', 'leave ']);
  expect(fixture.problems).toHaveLength(2);
});

test('a very deep chain of folders is walked without recursion', async () => {
  const fixture = await TreeFixture.create();
  let tree = await fixture.put({ end: 'x' });
  for (let i = 0; i < 2000; i++) tree = await fixture.put({ d: { type: 'dir', subtree: tree } });
  const calls = await walked(fixture, tree);
  expect(calls.filter((call) => call.startsWith('/'))).toHaveLength(2001);
  expect(fixture.problems).toEqual([]);
});

test('every entry is visited once', async () => {
  const name = fc.stringMatching(/^[a-e]{1,2}$/);
  const { tree } = fc.letrec<{ tree: TreeSpec; entry: TreeSpec | string }>((tie) => ({
    tree: fc.dictionary(name, tie('entry'), { maxKeys: 4 }) as fc.Arbitrary<TreeSpec>,
    entry: fc.oneof({ maxDepth: 3 }, fc.constantFrom('', 'x', 'y'), tie('tree')),
  }));
  const paths = (spec: TreeSpec, base = ''): string[] =>
    Object.entries(spec).flatMap(([key, value]) =>
      typeof value === 'string'
        ? [`${base}/${key}`]
        : [`${base}/${key}`, ...paths(value as TreeSpec, `${base}/${key}`)],
    );
  const fixture = await TreeFixture.create();
  await fc.assert(
    fc.asyncProperty(tree, async (spec) => {
      const calls = await walked(fixture, await fixture.put(spec));
      const visited = calls.filter((call) => call.startsWith('/'));
      expect(visited.toSorted()).toEqual(paths(spec).toSorted());
    }),
    { numRuns: 50 },
  );
});
