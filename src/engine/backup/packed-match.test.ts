import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defined } from '../../base/assert.ts';
import { compareBytes } from '../../base/bytes.ts';
import { ScanPacker, ScanReader, packStatus } from '../../platform/packed-scan.ts';
import type { FileStatus } from '../../platform/status.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { localZone, utcZone, type ZoneOffset } from '../../repository/time-format.ts';
import { TreeEncoder } from '../../repository/tree.ts';
import { TreeMatcher } from '../../repository/tree-matcher.ts';
import type { PackedEntries, SourceEntry } from '../../sources/source.ts';
import { statusOf } from './backup-test-support.ts';
import { hasAllChunks, mayHideChange, type ParentTime } from './change-detection.ts';
import { nodeOf } from './node.ts';
import { type PackedMatch, PackedMatcher } from './packed-match.ts';

interface Entry {
  readonly name: Uint8Array;
  readonly status: FileStatus;
  readonly chunks: number;
}

const parentTime: ParentTime = {
  start: { seconds: 1_000_000, nanoseconds: 0 },
  end: { seconds: 1_000_010, nanoseconds: 0 },
};

const usualTime = fc.record({
  seconds: fc.oneof(
    fc.integer({ min: 2_000_000, max: 4_102_444_800 }),
    fc.integer({ min: 2_000_000, max: 253_402_200_000 }),
  ),
  nanoseconds: fc.oneof(fc.constantFrom(0, 1, 10, 100_000_000, 999_999_999), fc.nat(999_999_999)),
});
const anyTime = fc.oneof(
  { weight: 12, arbitrary: usualTime },
  fc.record({
    seconds: fc.constantFrom(
      -(2 ** 62),
      -1,
      0,
      86_399,
      86_400,
      999_990,
      1_000_005,
      2 ** 62,
      2 ** 63,
    ),
    nanoseconds: fc.constantFrom(0, 5),
  }),
);
const usualName = fc
  .stringMatching(/^[A-Za-z0-9._ ~+-]{1,40}$/)
  .map((text): Uint8Array => Buffer.from(text));
const anyName = fc.oneof(
  { weight: 12, arbitrary: usualName },
  fc.constantFrom('a"b', 'a\\b', 'ä', '\n', '<&>').map((text): Uint8Array => Buffer.from(text)),
  fc.constant<Uint8Array>(Uint8Array.of(0xff)),
);

function entriesOf(
  name: fc.Arbitrary<Uint8Array>,
  time: typeof usualTime,
  mode: fc.Arbitrary<number>,
): fc.Arbitrary<Entry[]> {
  const number = fc.oneof(fc.nat(9), fc.maxSafeNat());
  const entry = fc.record({
    name,
    chunks: fc.nat(3),
    status: fc.record({
      kind: fc.constantFrom<FileStatus['kind']>('file', 'file', 'directory'),
      mode,
      uid: fc.constantFrom(0, 1, 4_294_967_294),
      gid: fc.constantFrom(0, 12),
      links: fc.constantFrom(1, 2, 70_000),
      inode: number,
      device: fc.constantFrom(0, 66_306, 2 ** 40),
      rdev: fc.constant(0),
      sizeBytes: number,
      blocks: fc.nat(9),
      mtime: time,
      atime: time,
      ctime: time,
    }),
  });
  return fc
    .uniqueArray(entry, {
      maxLength: 8,
      selector: ({ name: at }) => Buffer.from(at).toString('hex'),
    })
    .map((entries) => entries.toSorted((a, b) => compareBytes(a.name, b.name)));
}
const usualEntries = entriesOf(usualName, usualTime, fc.integer({ min: 1, max: 0o7777 }));
const anyEntries = entriesOf(anyName, anyTime, fc.nat(0o7777));

const zones = fc.constantFrom<ZoneOffset>(
  utcZone,
  localZone,
  () => 330,
  () => -210.5,
  () => 0.5,
  () => -0.5,
  () => -1,
);

function asSource({ name, status }: Entry): SourceEntry {
  return { name, path: name, status, extendedAttributes: [] };
}

/** The chunk or tree that stored nodes refer to. */
function idAt(slot: number, part: number): Uint8Array {
  return new Uint8Array(32).map((_, i) => 7 * slot + 31 * part + i);
}

function contentOf(slot: number, chunks: number): Uint8Array {
  return Buffer.concat(Array.from({ length: chunks }, (_, part) => idAt(slot, part)));
}

/** The tree that a backup stores of them. */
function stored(entries: readonly Entry[], zone: ZoneOffset): Uint8Array {
  const encoder = new TreeEncoder(zone);
  for (const [slot, entry] of entries.entries()) {
    const node = nodeOf(asSource(entry), {});
    if (node.type === 'dir') node.subtree = idAt(slot, 0);
    else node.content = contentOf(slot, entry.chunks);
    encoder.add(node);
  }
  return encoder.finish();
}

function indexOf(entries: readonly Entry[]): BlobIndex {
  const index = BlobIndex.create();
  const pack = index.addPack(new Uint8Array(32));
  for (const [slot, { chunks }] of entries.entries()) {
    for (let part = 0; part < chunks; part++) {
      const place = { pack, offset: 0, length: 50, uncompressedLength: 0 };
      if (index.find('data', idAt(slot, part)) < 0) index.insert('data', idAt(slot, part), place);
    }
  }
  return index;
}

/** As they come from the thread that reads ahead. */
function packedOf(entries: readonly Entry[]): PackedEntries {
  const packer = new ScanPacker();
  packer.begin(statusOf('directory'));
  for (const { name, status } of entries) {
    const place = { bytes: name, start: 0, end: name.length };
    packer.add(place, (numbers, at) => packStatus(status, numbers, at));
  }
  packer.end();
  const directory = defined(new ScanReader(packer.finish()).next(), 'it was packed');
  const directories = directory.directories().map(({ slot }) => ({
    slot,
    entry: asSource(defined(entries[slot], 'slots are of entries')),
  }));
  return { directory, directories };
}

interface Comparison {
  readonly tree: Uint8Array;
  readonly zone: ZoneOffset;
  readonly index: BlobIndex;
}

/** The comparison node by node. */
function plainMatch(
  now: readonly Entry[],
  { tree, zone, index }: Comparison,
): PackedMatch | undefined {
  const matcher = new TreeMatcher(zone);
  if (!matcher.begin(tree)) return undefined;
  const subtrees: Uint8Array[] = [];
  let fileCount = 0;
  let fileBytes = 0;
  for (const node of now.map((entry) => nodeOf(asSource(entry), {}))) {
    if (node.type === 'dir') {
      const subtree = matcher.takeDirectory(node);
      if (!subtree) return undefined;
      subtrees.push(subtree);
    } else {
      const content = matcher.takeFile(node);
      if (!content || mayHideChange(node.ctime, parentTime)) return undefined;
      if (!hasAllChunks(index, content)) return undefined;
      fileCount++;
      fileBytes += node.sizeBytes;
    }
  }
  return matcher.atEnd() ? { subtrees, fileCount, fileBytes } : undefined;
}

function packedMatch(
  now: readonly Entry[],
  { tree, zone, index }: Comparison,
): PackedMatch | undefined {
  const matcher = new PackedMatcher({ index, zone, parentTime, options: {} });
  return matcher.match(packedOf(now), tree);
}

test('an unchanged directory of usual files is found so', () => {
  const property = fc.property(usualEntries, zones, (entries, zone) => {
    const comparison = { tree: stored(entries, zone), zone, index: indexOf(entries) };
    const found = packedMatch(entries, comparison);
    expect(found).toBeDefined();
    expect(found).toEqual(plainMatch(entries, comparison));
  });
  fc.assert(property);
});

test('nothing is found unchanged that is not so node by node', () => {
  const change = fc.record({
    field: fc.constantFrom<keyof FileStatus>('mode', 'uid', 'links', 'inode', 'sizeBytes', 'ctime'),
    slot: fc.nat(),
    flipAt: fc.nat(),
    flip: fc.constantFrom(0, 0, 1, 0x20, 0xff),
  });
  const property = fc.property(
    anyEntries,
    anyEntries,
    zones,
    change,
    fc.constantFrom('nothing', 'field', 'byte', 'other', 'cut', 'chunks'),
    (entries, others, zone, { field, slot, flipAt, flip }, what) => {
      const tree = stored(entries, zone);
      if (what === 'byte') tree[flipAt % tree.length] = (tree[flipAt % tree.length] ?? 0) ^ flip;
      const at = slot % Math.max(1, entries.length);
      const now = entries.map((entry, i) => {
        const value = field === 'ctime' ? { seconds: 3_000_000, nanoseconds: 1 } : 3;
        return what === 'field' && i === at
          ? { ...entry, status: { ...entry.status, [field]: value } }
          : entry;
      });
      const comparison = {
        tree: what === 'cut' ? tree.subarray(0, flipAt % tree.length) : tree,
        zone,
        index: what === 'chunks' ? BlobIndex.create() : indexOf(entries),
      };
      const found = packedMatch(what === 'other' ? others : now, comparison);
      const expected = plainMatch(what === 'other' ? others : now, comparison);
      if (found) expect(found).toEqual(expected);
    },
  );
  fc.assert(property, { numRuns: 500 });
});

test('trees of any size are compared with one memory', () => {
  const index = BlobIndex.create();
  const zone = utcZone;
  const matcher = new PackedMatcher({ index, zone, parentTime, options: {} });
  for (const count of [3, 6000, 2, 6000]) {
    const entries = Array.from({ length: count }, (_, i) => ({
      name: Buffer.from(`file ${String(i).padStart(6, '0')}`),
      status: statusOf('file', { sizeBytes: i, uid: i % 3 }),
      chunks: 0,
    }));
    const tree = stored(entries, zone);
    expect(matcher.match(packedOf(entries), tree)?.fileCount).toBe(count);
    expect(matcher.match(packedOf(entries.slice(1)), tree)).toBeUndefined();
  }
});
