import * as fc from 'fast-check';

import type { Timestamp } from '../base/timestamp.ts';
import { anyText } from './json-test-support.ts';
import { compressBound, Compressor, Decompressor } from '../kernels/zstd.ts';
import { goMode, type NodeType } from './mode.ts';
import type { TreeNode } from './node.ts';
import { TreeBytes } from './tree-bytes.ts';

const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const uint53 = fc.maxSafeNat();
const uint64 = fc.oneof(
  uint53,
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0, 2n ** 53n, 2n ** 64n - 1n),
);

/** Times with an offset of their own, so that they come back as they were. */
const anyTime: fc.Arbitrary<Timestamp> = fc.record({
  seconds: fc.integer({ min: -62_135_500_000, max: 253_402_200_000 }),
  nanoseconds: fc.oneof(fc.constantFrom(0, 120_000_000), fc.nat({ max: 999_999_999 })),
  offsetMinutes: fc.oneof(fc.constant(0), fc.integer({ min: -840, max: 840 })),
});

/** Any name that a file system can have: bytes, mostly not UTF-8 at all or with much to escape. */
const anyName: fc.Arbitrary<Uint8Array> = fc
  .oneof(
    fc.uint8Array({ minLength: 1, maxLength: 24 }),
    anyText.map((text) => Uint8Array.from(Buffer.from(text))),
    fc.stringMatching(/^[ -~]{1,20}$/).map((text) => Uint8Array.from(Buffer.from(text))),
  )
  .map((bytes) => bytes.filter((byte) => byte !== 0 && byte !== 0x2f))
  .filter((name) => name.length > 0 && !['.', '..'].includes(Buffer.from(name).toString()));

const anyBytes = fc.uint8Array({ minLength: 1, maxLength: 12 });

const anyAttributes = fc.array(
  fc.record({
    // Names of attributes are text in the format: what is not UTF-8 would not come back.
    name: anyText.map((text) => Uint8Array.from(Buffer.from(text))),
    value: fc.uint8Array({ maxLength: 12 }),
  }),
  { maxLength: 3 },
);

const types: readonly NodeType[] = [
  'file',
  'dir',
  'symlink',
  'dev',
  'chardev',
  'fifo',
  'socket',
  'irregular',
];

/** Any node of any type, with all that its type may have. */
export const anyNode: fc.Arbitrary<TreeNode> = fc
  .record({
    name: anyName,
    type: fc.constantFrom(...types),
    permissions: fc.integer({ min: 0, max: 0o7777 }),
    mtime: anyTime,
    atime: anyTime,
    ctime: anyTime,
    sameTimes: fc.boolean(),
    uid: uint32,
    gid: uint32,
    user: fc.oneof(fc.constantFrom('', 'root'), anyText),
    group: fc.oneof(fc.constantFrom('', 'root'), anyText),
    inode: uint64,
    deviceId: uint64,
    device: uint64,
    sizeBytes: uint53,
    links: uint53,
    target: anyBytes,
    extendedAttributes: anyAttributes,
    generic: fc.option(fc.dictionary(anyText, anyText, { minKeys: 1, maxKeys: 2 })),
    ids: fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { maxLength: 3 }),
    subtree: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    error: fc.option(anyText.filter((text) => text !== '')),
  })
  .map(({ permissions, sameTimes, target, generic, ids, subtree, error, ...node }) => ({
    ...node,
    mode: goMode(node.type, permissions),
    atime: sameTimes ? node.mtime : node.atime,
    linkTarget: node.type === 'symlink' ? target : undefined,
    genericAttributes: generic === null ? undefined : Buffer.from(JSON.stringify(generic)),
    content: node.type === 'file' ? Uint8Array.from(ids.flatMap((id) => [...id])) : undefined,
    subtree: node.type === 'dir' ? subtree : undefined,
    error: error ?? undefined,
  }));

/** The nodes of a tree in order, each name once. */
export const anyNodes: fc.Arbitrary<TreeNode[]> = fc
  .uniqueArray(anyNode, {
    maxLength: 5,
    selector: (node) => Buffer.from(node.name).toString('latin1'),
  })
  .map((nodes) => nodes.sort((a, b) => Buffer.compare(a.name, b.name)));

/** A small file, or what `more` makes of it. */
export function fileNode(name: string, more: Partial<TreeNode> = {}): TreeNode {
  const mtime = { seconds: 1_700_000_000, nanoseconds: 120_000_000 };
  return {
    name: Buffer.from(name),
    type: 'file',
    mode: 0o644,
    mtime,
    atime: mtime,
    ctime: mtime,
    uid: 0,
    gid: 0,
    user: 'root',
    group: 'root',
    inode: 1,
    deviceId: 2,
    sizeBytes: 3,
    links: 1,
    extendedAttributes: [],
    device: 0,
    content: new Uint8Array(32),
    ...more,
  };
}

/** A tree kept in pieces of `sizeBytes` each. */
export function inPieces(bytes: Uint8Array, sizeBytes: number): TreeBytes {
  const compressor = new Compressor('fastest');
  const pieces = [];
  for (let at = 0; at < bytes.byteLength; at += sizeBytes) {
    const plain = bytes.subarray(at, at + sizeBytes);
    const frame = new Uint8Array(compressBound(plain.byteLength));
    const compressed = frame.subarray(0, compressor.compress(plain, frame));
    pieces.push({ compressed, sizeBytes: plain.byteLength });
  }
  return TreeBytes.inPieces(pieces, new Decompressor());
}
