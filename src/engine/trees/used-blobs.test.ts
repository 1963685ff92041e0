import { expect, test } from 'vitest';
import { toHex } from '../../base/bytes.ts';
import { systemEnvironment } from '../../base/environment.ts';
import { silentMonitor } from '../../base/monitor.ts';
import { record } from '../../storage/record.ts';
import { fault } from '../../storage/fault.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import { loadIndex } from '../../repository/index-load.ts';
import { hashOf, testRepository } from '../../repository/index-test-support.ts';
import { memoryKey } from '../../storage/memory/memory-backend.ts';
import { SnapshotMaker } from '../engine-test-support.ts';
import { collectUsedBlobs, usedMark } from './used-blobs.ts';

const context = { environment: systemEnvironment, monitor: silentMonitor };
const code = (name: string): unknown => expect.objectContaining({ code: name });

/** Ids of the marked blobs by type, sorted. */
async function used(indexed: IndexedRepository, ids: readonly { id: string; tree: string }[]) {
  const marks = await collectUsedBlobs(indexed, ids, context);
  const { index } = indexed;
  const found = [...marks.marked()].map(
    ({ entry }) => `${index.typeOf(entry)} ${toHex(index.idOf(entry))}`,
  );
  for (let entry = 0; entry < index.blobCount; entry++) {
    const text = `${index.typeOf(entry)} ${toHex(index.idOf(entry))}`;
    expect(marks.has(entry, usedMark)).toBe(found.includes(text));
  }
  return found.toSorted();
}

const dataOf = (text: string): string => `data ${toHex(hashOf(Buffer.from(text)))}`;

test('marks what the given snapshots reach, and nothing else', async () => {
  const maker = new SnapshotMaker();
  const first = await maker.snapshotOf({ a: 'one', b: { c: 'two', d: { e: 'three' } } });
  const second = await maker.snapshotOf({ a: 'one', b: { c: 'four' } });
  const indexed = await maker.indexed();
  const ofFirst = await used(indexed, [first]);
  expect(ofFirst.filter((text) => text.startsWith('data'))).toEqual(
    ['one', 'two', 'three'].map(dataOf).toSorted(),
  );
  expect(ofFirst.filter((text) => text.startsWith('tree'))).toHaveLength(3);
  expect((await used(indexed, [first, second])).length).toBe(4 + 3 + 2);
  expect(await used(indexed, [])).toEqual([]);
});

test('marks a blob with several copies once, and all copies have the mark', async () => {
  const maker = new SnapshotMaker();
  const first = await maker.snapshotOf({ a: 'one' });
  await maker.snapshotOf({ a: 'one', b: 'two' });
  const indexed = await maker.indexed();
  expect(indexed.index.findAll('data', hashOf(Buffer.from('one')))).toHaveLength(2);
  expect(await used(indexed, [first])).toEqual([dataOf('one'), `tree ${first.tree}`].toSorted());
});

test('marks what a node refers to against its type, as far as it is there', async () => {
  const maker = new SnapshotMaker();
  const below = toHex(maker.folder({ x: 'below a link' }));
  const data = toHex(maker.blob('data', Buffer.from('of a folder')));
  const gone = '7'.repeat(64);
  const link = { name: 'a', type: 'symlink', mode: 0o777, linktarget: 'x', content: [gone] };
  const nodes = [
    { ...link, subtree: below },
    { name: 'b', type: 'dir', mode: 0o755, content: [data], subtree: below },
    { ...link, name: 'c', subtree: gone },
  ];
  const tree = maker.rawTree(JSON.stringify({ nodes }));
  const snapshot = await maker.snapshot(tree);
  const all = [dataOf('below a link'), `data ${data}`, `tree ${below}`, `tree ${snapshot.tree}`];
  expect(await used(await maker.indexed(), [snapshot])).toEqual(all.toSorted());
  const lone = maker.rawTree(JSON.stringify({ nodes: nodes.slice(0, 1) }));
  const second = await maker.snapshot(lone);
  const fewer = [dataOf('below a link'), `tree ${below}`, `tree ${second.tree}`];
  expect(await used(await maker.indexed(), [second])).toEqual(fewer.toSorted());
});

test('reads each tree pack once, however snapshots are mixed', async () => {
  const maker = new SnapshotMaker();
  const snapshots = [];
  for (let i = 0; i < 20; i++) {
    snapshots.push(await maker.snapshotOf({ same: { x: 'x' }, [`n${i}`]: { y: `${i}` } }));
  }
  const backend = record(maker.backend);
  const repository = testRepository({ backend });
  const indexed = new IndexedRepository(repository, await loadIndex(repository));
  backend.reset();
  await collectUsedBlobs(indexed, snapshots, context);
  expect(backend.count({ operation: 'get', type: 'pack' })).toBeLessThanOrEqual(20);
});

test('a blob that no index lists ends it, whether tree or data', async () => {
  const maker = new SnapshotMaker();
  const snapshot = await maker.snapshotOf({ a: 'one', b: { c: 'two' } });
  const other = new SnapshotMaker();
  await other.store();
  const empty = new IndexedRepository(maker.repository, (await other.indexed()).index);
  await expect(used(empty, [snapshot])).rejects.toEqual(code('BLOB_NOT_FOUND'));
  const id = toHex(hashOf(Buffer.from('never stored')));
  const raw = `{"nodes":[{"name":"x","type":"file","content":["${id}"]}]}`;
  const tree = maker.rawTree(raw);
  await maker.store();
  const indexed = await maker.indexed();
  await expect(used(indexed, [{ id: 'x', tree: toHex(tree) }])).rejects.toEqual(
    code('BLOB_NOT_FOUND'),
  );
});

test('a tree that cannot be read or decoded ends it', async () => {
  const maker = new SnapshotMaker();
  const good = await maker.snapshotOf({ a: 'one', b: { c: 'two' } });
  const raw = await maker.snapshot(maker.rawTree('{"nodes":[{"name":"x","type":"dir"}]}'));
  const broken = await maker.snapshot(maker.rawTree('{"nodes":[{"name":5}]}'));
  const indexed = await maker.indexed();
  await expect(used(indexed, [good, raw])).rejects.toEqual(code('TREE_DAMAGED'));
  await expect(used(indexed, [good, broken])).rejects.toEqual(code('TREE_DAMAGED'));
  const [, trees] = maker.packs;
  const name = trees?.id ?? '';
  maker.backend.files.delete(memoryKey({ type: 'pack', name }));
  await expect(used(indexed, [good])).rejects.toEqual(code('BLOB_DAMAGED'));
});

test('what a node of an unknown kind refers to is needed, too', async () => {
  const maker = new SnapshotMaker();
  const id = toHex(maker.blob('data', Buffer.from('kept')));
  const raw = `{"nodes":[{"name":"x","type":"new kind","content":["${id}"]}]}`;
  const snapshot = await maker.snapshot(maker.rawTree(raw));
  expect(await used(await maker.indexed(), [snapshot])).toContain(dataOf('kept'));
});

test('a storage that does not answer ends it', async () => {
  const maker = new SnapshotMaker();
  const snapshot = await maker.snapshotOf({ a: 'one' });
  const { index } = await maker.indexed();
  const backend = fault(maker.backend, [
    { operation: 'get', type: 'pack', fault: { kind: 'error', code: 'BACKEND_UNAVAILABLE' } },
  ]);
  const indexed = new IndexedRepository(testRepository({ backend }), index);
  await expect(used(indexed, [snapshot])).rejects.toEqual(code('BACKEND_UNAVAILABLE'));
});
