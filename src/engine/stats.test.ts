import { expect, test } from 'vitest';
import { createStatsCounter, type RepositoryStats, type StatsMode } from './stats.ts';
import { TreeFixture, type TreeSpec } from './tree-test-support.ts';

async function statsOf(mode: StatsMode, ...specs: TreeSpec[]): Promise<RepositoryStats> {
  const fixture = await TreeFixture.create();
  const roots: Uint8Array[] = [];
  for (const spec of specs) roots.push(await fixture.put(spec));
  const counter = createStatsCounter(fixture.indexed, mode);
  for (const root of roots) await counter.add(root, fixture.context);
  return counter.result();
}

const linked = (inode: number) =>
  ({ type: 'file', inode, deviceId: 1, links: 2, sizeBytes: 10 }) as const;

test('restore-size counts a hard link once a snapshot', async () => {
  const spec = { a: linked(5), sub: { b: linked(5), c: linked(6) }, d: 'four' };
  const once = await statsOf('restore-size', spec);
  expect(once).toMatchObject({ totalSize: 24, totalFileCount: 5 });
  const twice = await statsOf('restore-size', spec, spec);
  expect(twice).toMatchObject({ totalSize: 48, totalFileCount: 10 });
});

test('restore-size remembers folders, however often they come', async () => {
  const sub = { x: '12345', y: { z: '1' } };
  const stats = await statsOf('restore-size', { a: sub, b: { c: sub } }, { d: sub });
  expect(stats).toMatchObject({ totalSize: 18, totalFileCount: 3 * 3 + 4 });
});

test('a tree that multiplies itself is counted in no time', async () => {
  const fixture = await TreeFixture.create();
  let tree = await fixture.put({ x: 'x' });
  for (let i = 0; i < 40; i++) {
    const folder = { type: 'dir', subtree: tree } as const;
    tree = await fixture.put({ a: folder, b: folder });
  }
  for (const mode of ['restore-size', 'files-by-contents', 'raw-data'] as const) {
    const counter = createStatsCounter(fixture.indexed, mode);
    await counter.add(tree, fixture.context);
    if (mode === 'restore-size') expect(counter.result().totalSize).toBe(2 ** 40);
  }
});

test('files-by-contents counts different contents', async () => {
  const stats = await statsOf(
    'files-by-contents',
    { a: 'one', b: 'one', c: { d: 'three' } },
    { e: 'three' },
  );
  expect(stats).toMatchObject({ totalSize: 8, totalFileCount: 2, totalBlobCount: 0 });
});

test('blobs-per-file counts blobs once a path', async () => {
  const stats = await statsOf('blobs-per-file', { a: 'one' }, { a: 'three' }, { b: 'five!' });
  expect(stats).toMatchObject({ totalSize: 13, totalFileCount: 2, totalBlobCount: 3 });
});

test('raw-data counts what is stored, once', async () => {
  const text = 'compressible '.repeat(1000);
  const stats = await statsOf('raw-data', { a: text, b: text }, { c: text });
  expect(stats.totalBlobCount).toBe(3);
  expect(stats.totalUncompressedSize).toBeGreaterThan(text.length);
  expect(stats.totalSize).toBeLessThan(2000);
  expect(stats.compressionProgress).toBe(100);
  expect(stats.compressionRatio).toBeCloseTo(stats.totalUncompressedSize / stats.totalSize);
});
