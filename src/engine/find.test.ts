import { expect, test } from 'vitest';
import { PatternList, type PatternState } from '../sources/files/patterns.ts';
import { byteTextOf } from '../sources/files/byte-text.ts';
import { type PathMatcher, PathFinder } from './find.ts';
import { blobsOfPacks, findObjects, IdSet } from './find-objects.ts';
import { toHex } from '../base/bytes.ts';
import { systemRandom } from '../base/random.ts';
import { BlobIndex } from '../repository/blob-index.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import { TreeFixture } from './tree-test-support.ts';

function matcherFor(...patterns: string[]): PathMatcher<PatternState> {
  const list = PatternList.parse(patterns);
  return {
    root: list.root,
    step: (state, name) => list.descend(state, byteTextOf(name)),
    isMatched: (state) => list.isMatched(state),
    mayMatchBelow: (state) => list.childMayMatch(state),
  };
}

async function found(
  finder: PathFinder<PatternState>,
  fixture: TreeFixture,
  root: Uint8Array,
): Promise<string[]> {
  const paths: string[] = [];
  await finder.search(
    root,
    ({ path }) => paths.push(Buffer.from(path).toString()),
    fixture.context,
  );
  return paths;
}

test('matches are found in every snapshot, also where folders are the same', async () => {
  const fixture = await TreeFixture.create();
  const one = await fixture.put({ a: { 'x.txt': '1', y: '2' }, b: { c: { z: '3' } } });
  const two = await fixture.put({
    a: { 'x.txt': '1', y: '2' },
    b: { c: { z: '3' }, 'x.txt': '4' },
  });
  const finder = new PathFinder(fixture.indexed, { matcher: matcherFor('*.txt') });
  expect(await found(finder, fixture, one)).toEqual(['/a/x.txt']);
  expect(await found(finder, fixture, two)).toEqual(['/a/x.txt', '/b/x.txt']);
  expect(await found(finder, fixture, one)).toEqual(['/a/x.txt']);
});

test('a folder without a match is not read again, but under another path it is', async () => {
  const fixture = await TreeFixture.create();
  const one = await fixture.put({ a: { s: { x: '1' } } });
  const two = await fixture.put({ b: { s: { x: '1' } } });
  const finder = new PathFinder(fixture.indexed, { matcher: matcherFor('/b/s/x') });
  expect(await found(finder, fixture, one)).toEqual([]);
  expect(await found(finder, fixture, two)).toEqual(['/b/s/x']);
});

test('a damaged folder is told every time', async () => {
  const fixture = await TreeFixture.create();
  const lost = await fixture.put({ x: '1' });
  const root = await fixture.put({ a: { x: '1' } });
  fixture.lose('tree', lost);
  const finder = new PathFinder(fixture.indexed, { matcher: matcherFor('x') });
  expect(await found(finder, fixture, root)).toEqual([]);
  expect(await found(finder, fixture, root)).toEqual([]);
  expect(fixture.problems).toHaveLength(2);
});

function at(seconds: number) {
  return { type: 'file', mtime: { seconds, nanoseconds: 0 } } as const;
}

test('times limit the matches, ends included', async () => {
  const fixture = await TreeFixture.create();
  const root = await fixture.put({ x1: at(1), x2: at(2), x3: at(3) });
  const limits = { oldest: { seconds: 2, nanoseconds: 0 }, newest: { seconds: 2, nanoseconds: 0 } };
  const finder = new PathFinder(fixture.indexed, { matcher: matcherFor('x*'), ...limits });
  expect(await found(finder, fixture, root)).toEqual(['/x2']);
});

test('objects are found by whole ids and by their beginnings', async () => {
  const fixture = await TreeFixture.create();
  const root = await fixture.put({ a: { x: 'same', y: 'same', z: 'other' } });
  const blob = toHex(await fixture.blob('data', Buffer.from('same')));
  const uses: string[] = [];
  const search = async (blobs: string[], trees: string[]): Promise<string[]> => {
    uses.length = 0;
    const ids = { blobs: new IdSet(blobs), trees: new IdSet(trees) };
    const onFound = ({ type, path }: { type: string; path: Uint8Array }): void => {
      uses.push(`${type} ${Buffer.from(path).toString()}`);
    };
    await findObjects(fixture.indexed, root, { ids, onFound }, fixture.context);
    return [...uses];
  };
  expect(await search([blob], [])).toEqual(['blob /a/x', 'blob /a/y']);
  expect(await search([blob.slice(0, 6).toUpperCase()], [])).toEqual(['blob /a/x', 'blob /a/y']);
  expect(await search([], [toHex(root)])).toEqual(['tree /']);
  expect(await search(['ffffffffffff'], ['eeeeeeeeeee'])).toEqual([]);
});

test('packs stand for the blobs in them', async () => {
  const fixture = await TreeFixture.create();
  const id = await fixture.blob('data', Buffer.from('content'));
  const { index } = fixture.indexed;
  const pack = toHex(index.packId(index.packOf(index.find('data', id))));
  const { indexed, context } = fixture;
  const contents = await blobsOfPacks(indexed, [pack.slice(0, 8), 'ffffffffff'], context);
  expect(contents.missing).toEqual(['ffffffffff']);
  expect(contents.blobs.has(toHex(id))).toBe(true);
  expect(contents.trees.isEmpty).toBe(true);
  // The same, where no index names the pack.
  const empty = new IndexedRepository(
    indexed.repository,
    BlobIndex.create({ random: systemRandom }),
  );
  const unindexed = await blobsOfPacks(empty, [pack.slice(0, 8), 'ffffffffff'], context);
  expect(unindexed.missing).toEqual(['ffffffffff']);
  expect(unindexed.blobs.has(toHex(id))).toBe(true);
});
