import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { TreeNode } from './node.ts';
import { utcZone } from './time-format.ts';
import { TreeEncoder } from './tree-encoder.ts';
import { TreeMatcher } from './tree-matcher.ts';

const time = fc.record({
  seconds: fc.integer({ min: -1e9, max: 4e9 }),
  nanoseconds: fc.integer({ min: 0, max: 999_999_999 }),
});

/** Nodes of a directory, sorted, with what each type has. */
const nodes = fc
  .uniqueArray(
    fc.record({
      name: fc
        .uint8Array({ minLength: 1, maxLength: 12 })
        .filter((n) => !n.includes(0x2f) && !n.includes(0)),
      type: fc.constantFrom('file', 'dir', 'symlink', 'fifo'),
      mtime: time,
      ctime: time,
      mode: fc.nat(0o777),
      size: fc.nat(),
      chunks: fc.nat(3),
      seed: fc.nat(255),
    }),
    { maxLength: 12, selector: ({ name }) => Buffer.from(name).toString('hex') },
  )
  .map((list) => list.map(nodeFrom).toSorted((a, b) => Buffer.compare(a.name, b.name)));

function nodeFrom(of: {
  name: Uint8Array;
  type: string;
  mtime: TreeNode['mtime'];
  ctime: TreeNode['ctime'];
  mode: number;
  size: number;
  chunks: number;
  seed: number;
}): TreeNode {
  const { name, mtime, ctime, mode } = of;
  const base = {
    name,
    mode,
    mtime,
    atime: mtime,
    ctime,
    uid: 1,
    gid: 2,
    user: 'u',
    group: '',
    inode: of.seed,
    deviceId: 5,
    sizeBytes: 0,
    links: 1,
    extendedAttributes: [],
    device: 0,
  };
  const ids = (count: number): Uint8Array => new Uint8Array(32 * count).fill(of.seed);
  if (of.type === 'file') {
    return { ...base, type: 'file', sizeBytes: of.size, content: ids(of.chunks) };
  }
  if (of.type === 'dir') return { ...base, type: 'dir', subtree: ids(1) };
  if (of.type === 'symlink') return { ...base, type: 'symlink', linkTarget: Buffer.from('to') };
  return { ...base, type: 'fifo' };
}

function encode(of: readonly TreeNode[]): Uint8Array {
  const encoder = new TreeEncoder(utcZone);
  for (const node of of) encoder.add(node);
  return encoder.finish();
}

function withoutReferences({ content: _content, subtree: _subtree, ...rest }: TreeNode): TreeNode {
  return rest;
}

/** Matches every node; what the tree says of content and subtrees, or undefined at the first difference. */
function match(
  matcher: TreeMatcher,
  tree: Uint8Array,
  of: readonly TreeNode[],
): string[] | undefined {
  if (!matcher.begin(tree)) return undefined;
  const found: string[] = [];
  for (const metadata of of.map(withoutReferences)) {
    const references =
      metadata.type === 'file'
        ? matcher.takeFile(metadata)
        : metadata.type === 'dir'
          ? matcher.takeDirectory(metadata)
          : matcher.takeOther(metadata) && new Uint8Array(0);
    if (!references) return undefined;
    found.push(Buffer.from(references).toString('hex'));
  }
  return matcher.atEnd() ? found : undefined;
}

test('an unchanged directory matches, and its references are those that were stored', () => {
  const matcher = new TreeMatcher(utcZone);
  fc.assert(
    fc.property(nodes, (list) => {
      const expected = list.map((node) =>
        Buffer.from(node.content ?? node.subtree ?? []).toString('hex'),
      );
      expect(match(matcher, encode(list), list)).toEqual(expected);
    }),
  );
});

test('a directory with one node more, one less or another one does not match', () => {
  const matcher = new TreeMatcher(utcZone);
  const changed = fc.tuple(nodes, nodes).filter(([a, b]) => {
    return JSON.stringify(a.map(withoutReferences)) !== JSON.stringify(b.map(withoutReferences));
  });
  fc.assert(
    fc.property(changed, ([stored, now]) => {
      expect(match(matcher, encode(stored), now)).toBeUndefined();
    }),
  );
  fc.assert(
    fc.property(
      nodes.filter((list) => list.length > 0),
      (list) => {
        expect(match(matcher, encode(list), list.slice(1))).toBeUndefined();
        expect(match(matcher, encode(list.slice(0, -1)), list)).toBeUndefined();
      },
    ),
  );
});

test('a tree that is cut or changed in any byte does not match as a whole, or gives other references', () => {
  const matcher = new TreeMatcher(utcZone);
  fc.assert(
    fc.property(nodes, fc.nat(), fc.integer({ min: 1, max: 255 }), (list, place, flip) => {
      const tree = encode(list);
      const expected = match(matcher, tree, list);
      expect(match(matcher, tree.subarray(0, place % tree.length), list)).toBeUndefined();
      const changed = tree.slice();
      changed[place % tree.length] = (changed[place % tree.length] ?? 0) ^ flip;
      expect(match(matcher, changed, list)).not.toEqual(expected);
    }),
  );
});
