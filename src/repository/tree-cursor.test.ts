import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { HoldfastError } from '../base/errors.ts';
import type { TreeNode } from './node.ts';
import { utcZone } from './time-format.ts';
import { TreeWindow } from './tree-bytes.ts';
import { TreeCursor } from './tree-cursor.ts';
import { decodeTree } from './tree-decoder.ts';
import { TreeEncoder } from './tree-encoder.ts';
import { TreeMatcher } from './tree-matcher.ts';
import { anyNodes, fileNode, inPieces } from './tree-test-support.ts';

function encoded(nodes: readonly TreeNode[]): Uint8Array {
  const encoder = new TreeEncoder(utcZone);
  for (const node of nodes) encoder.add(node);
  return encoder.finish();
}

function codeOf(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    return error instanceof HoldfastError ? error.code : error;
  }
}

const nodes = anyNodes.map((list) => list.filter(({ type }) => type !== 'irregular'));
const pieceSize = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 200, max: 4000 }));

describe('a cursor', () => {
  test('gives what decoding the whole tree gives, however it is cut into pieces', () => {
    const property = fc.property(nodes, pieceSize, (list, size) => {
      const bytes = encoded(list);
      const cursor = new TreeCursor(inPieces(bytes, size));
      expect([...cursor]).toEqual(decodeTree(bytes));
      expect(cursor).toMatchObject({ nodeCount: list.length, isSorted: true, beginsAsOurs: true });
    });
    fc.assert(property, { numRuns: 60 });
  });

  test('takes and refuses the same trees, also of other programs', () => {
    const good = '"type":"fifo"';
    const trees = [
      '{"nodes":[]}',
      ' { "other" : [1,{"a":"]"}], "nodes" : [ {"name":"b",_} , {"name":"a",_} ] , "x":null } ',
      '{"nodes":[{"name":"b",_},{"name":"b",_},{"name":"a",_},{"name":"b",_}]}',
      '{"nodes":[{"name":"a",_}],"nodes":[]}',
      '{"other":[]}',
      '{"nodes":[{"name":"a",_},]}',
      '{"nodes":[{"name":"a",_}{"name":"b",_}]}',
      '{"nodes":[{"name":"a",_}]',
      '{"nodes":[{"name":"a",_}]}x',
      '{"nodes":[{"name":"a","mode":"x"}]}',
      '',
    ];
    for (const text of trees) {
      const bytes = Uint8Array.from(Buffer.from(text.replaceAll('_', good)));
      for (const size of [1, 7, 10_000]) {
        const read = codeOf(() => [...new TreeCursor(inPieces(bytes, size))]);
        expect(read, text).toEqual(codeOf(() => decodeTree(bytes)));
      }
    }
  });

  test('goes back by one node, also where names are not in order', () => {
    for (const names of ['abc', 'cab']) {
      const list = names.split('').map((name) => `{"name":"${name}","type":"fifo"}`);
      const cursor = new TreeCursor(inPieces(Buffer.from(`{"nodes":[${list.join(',')}]}`), 9));
      const seen: string[] = [];
      for (let node = cursor.next(); node; node = cursor.next()) {
        cursor.unread(node);
        expect(cursor.next()).toEqual(node);
        seen.push(Buffer.from(node.name).toString());
      }
      expect(seen.join('')).toBe(names);
      expect(cursor.isSorted).toBe(names === 'abc');
    }
  });

  test('goes along with a matcher that passes nodes over', () => {
    const list = Array.from({ length: 9 }, (_, i) => fileNode(`f${i}`));
    const matcher = new TreeMatcher(utcZone);
    const cursor = new TreeCursor(inPieces(encoded(list), 50));
    expect(Buffer.from(cursor.next()?.name ?? []).toString()).toBe('f0');
    matcher.resume(cursor.peek(3000), 0, false);
    for (const node of list.slice(1, 4)) expect(matcher.takeFile(node)).toEqual(node.content);
    const last = Buffer.from('f3');
    cursor.pass(matcher.position, { nodeCount: 3, last });
    expect(Array.from(cursor, ({ name }) => Buffer.from(name).toString())).toEqual([
      'f4',
      'f5',
      'f6',
      'f7',
      'f8',
    ]);
    const all = new TreeCursor(inPieces(encoded(list), 50));
    expect(all.endsAsOurs()).toBe(false);
    matcher.resume(all.peek(5000), 0, true);
    for (const node of list) expect(matcher.takeFile(node)).toBeDefined();
    all.pass(matcher.position, { nodeCount: 9, last: Buffer.from('f8') });
    expect(all.endsAsOurs()).toBe(true);
    expect(all.next()).toBeUndefined();
  });
});

test('a window shows any ranges that come in order', () => {
  const bytes = Uint8Array.from({ length: 3000 }, (_, i) => (i * 7) % 251);
  const ranges = fc.array(fc.tuple(fc.nat(3000), fc.nat(900)), { maxLength: 8 });
  const property = fc.property(ranges, fc.integer({ min: 1, max: 700 }), (list, size) => {
    const window = new TreeWindow(inPieces(bytes, size));
    for (const [start, length] of list.toSorted(([a], [b]) => a - b)) {
      window.reach(start, length);
      const at = start - window.start;
      expect(at).toBeGreaterThanOrEqual(0);
      const seen = window.bytes.subarray(at, at + length);
      expect(Buffer.from(seen)).toEqual(Buffer.from(bytes.subarray(start, start + length)));
    }
  });
  fc.assert(property, { numRuns: 60 });
});
