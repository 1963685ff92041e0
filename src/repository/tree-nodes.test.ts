import { expect, test } from 'vitest';
import { TreeBytes } from './tree-bytes.ts';
import { areSorted, nodesOf } from './tree-nodes.ts';
import { inPieces } from './tree-test-support.ts';

function treeOf(names: string): Uint8Array {
  const nodes = names.split('').map((name) => `{"name":"${name}","type":"fifo"}`);
  return Uint8Array.from(Buffer.from(`{"nodes":[${nodes.join(',')}]}`));
}

test.each([
  ['abcd', true],
  ['', true],
  ['acb', false],
  ['aab', false],
])('the nodes of %j are the same, whole or in pieces', (names, isSorted) => {
  const bytes = treeOf(names);
  const whole = nodesOf(TreeBytes.whole(bytes));
  const pieces = nodesOf(inPieces(bytes, 20));
  expect(pieces).toHaveLength(names.length);
  // As often as they are asked for.
  for (const _ of [1, 2]) expect([...pieces]).toEqual([...whole]);
  expect([areSorted(whole), areSorted(pieces)]).toEqual([isSorted, isSorted]);
});

test('a tree that is damaged at its end gives no node at all', () => {
  const bytes = Buffer.concat([treeOf('abc').subarray(0, -2), Buffer.from(',{"name":1}]}')]);
  const damaged = expect.objectContaining({ code: 'TREE_DAMAGED' });
  expect(() => nodesOf(inPieces(bytes, 10))).toThrow(damaged);
});
