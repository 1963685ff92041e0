import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Timestamp } from '../../base/timestamp.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { hasAllChunks, isUnmodified, mayHideChange } from './change-detection.ts';

const time: fc.Arbitrary<Timestamp> = fc.record({
  seconds: fc.integer({ min: -10_000_000_000, max: 10_000_000_000 }),
  nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
});

const node: fc.Arbitrary<TreeNode> = fc.record({
  name: fc.constant(Buffer.from('file')),
  type: fc.constant('file' as const),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  mtime: time,
  atime: time,
  ctime: time,
  uid: fc.nat(),
  gid: fc.nat(),
  user: fc.string(),
  group: fc.string(),
  inode: fc.oneof(fc.nat(), fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n })),
  deviceId: fc.nat(),
  sizeBytes: fc.nat(),
  links: fc.integer({ min: 1, max: 9 }),
  extendedAttributes: fc.constant([]),
  device: fc.constant(0),
  content: fc.constant(new Uint8Array(0)),
});

const at = (seconds: number): Timestamp => ({
  seconds: Math.floor(seconds),
  nanoseconds: Math.round((seconds - Math.floor(seconds)) * 1e9),
});

describe('isUnmodified (C17)', () => {
  test('never looks over a change of size, time or inode', () => {
    const changes = fc.constantFrom('sizeBytes' as const, 'mtime', 'ctime', 'inode');
    const property = fc.property(node, node, changes, (previous, other, field) => {
      expect(isUnmodified(previous, previous, {})).toBe(true);
      const changed = { ...previous, [field]: other[field] };
      const isSame = JSON.stringify(text(previous[field])) === JSON.stringify(text(other[field]));
      expect(isUnmodified(changed, previous, {})).toBe(isSame);
    });
    fc.assert(property);
  });

  test('tells inodes beyond 2^53 apart', () => {
    const [previous] = fc.sample(node, 1);
    if (!previous) throw new Error('a sample has a node');
    const large = { ...previous, inode: 2n ** 53n };
    expect(isUnmodified({ ...large, inode: 2n ** 53n + 1n }, large, {})).toBe(false);
    expect(isUnmodified({ ...large, inode: 2n ** 53n }, large, {})).toBe(true);
  });

  test('looks over what it is told to, and over owner, mode and device in any case', () => {
    const property = fc.property(node, node, (previous, other) => {
      const { ctime, inode, mode, uid, gid, deviceId, links } = other;
      const touched = { ...previous, mode, uid, gid, deviceId, links };
      expect(isUnmodified(touched, previous, {})).toBe(true);
      expect(isUnmodified({ ...touched, ctime }, previous, { ignoreCtime: true })).toBe(true);
      expect(isUnmodified({ ...touched, ctime, inode }, previous, { ignoreInode: true })).toBe(
        true,
      );
    });
    fc.assert(property);
  });

  test('only knows files that are stored whole', () => {
    const [previous] = fc.sample(node, 1);
    if (!previous) throw new Error('a sample has a node');
    const { content: _, ...without } = previous;
    expect(isUnmodified(previous, without, {})).toBe(false);
    expect(isUnmodified(previous, { ...previous, type: 'symlink' }, {})).toBe(false);
  });
});

describe('mayHideChange', () => {
  const parentTime = { start: at(1000.5), end: at(2000.5) };

  test.each([
    ['long before', 900.25, false],
    ['a moment before', 1000.45, true],
    ['before, in whole seconds', 999, true],
    ['well before, in whole seconds', 998, false],
    ['during the parent backup', 1500.25, true],
    ['at its end', 2000.55, true],
    ['after it', 2001.25, false],
  ])('a change %s', (_when, changed, expected) => {
    expect(mayHideChange(at(changed), parentTime)).toBe(expected);
  });

  test('knows nothing without the time of the parent', () => {
    expect(mayHideChange(at(1500), undefined)).toBe(false);
  });
});

test('hasAllChunks asks for each chunk', () => {
  const index = BlobIndex.create();
  const ids = Uint8Array.from({ length: 96 }, (_, i) => i);
  const pack = index.addPack(new Uint8Array(32));
  const place = { pack, offset: 0, length: 1, uncompressedLength: 0 };
  expect(hasAllChunks(index, new Uint8Array(0))).toBe(true);
  for (const start of [0, 32]) index.insert('data', ids.subarray(start, start + 32), place);
  index.insert('tree', ids.subarray(64), place);
  expect(hasAllChunks(index, ids.subarray(0, 64))).toBe(true);
  expect(hasAllChunks(index, ids)).toBe(false);
});

function text(value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
