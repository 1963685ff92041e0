import { expect, test } from 'vitest';
import { bareNode, type TreeNode } from '../../repository/tree.ts';
import { equalNodes } from './equal-nodes.ts';

const time = { seconds: 1, nanoseconds: 2 };
const one = { name: Buffer.from('user.one'), value: Buffer.from('1') };
const two = { name: Buffer.from('user.two'), value: Buffer.from('2') };
const node: TreeNode = {
  ...bareNode,
  name: Buffer.from('f'),
  type: 'file',
  mode: 0o644,
  mtime: time,
  atime: time,
  ctime: time,
  content: new Uint8Array(32),
  extendedAttributes: [one, two],
};

test('the order of extended attributes makes no change, their values do', () => {
  expect(equalNodes(node, { ...node, extendedAttributes: [two, one] })).toBe(true);
  const other = { ...two, value: Buffer.from('3') };
  expect(equalNodes(node, { ...node, extendedAttributes: [one, other] })).toBe(false);
  expect(equalNodes(node, { ...node, extendedAttributes: [one] })).toBe(false);
});

test('any other difference makes one; of the content only if it is asked for', () => {
  const content = new Uint8Array(64);
  expect(equalNodes(node, { ...node, content })).toBe(false);
  expect(equalNodes(node, { ...node, content }, { ignoreContent: true })).toBe(true);
  expect(equalNodes(node, { ...node, mode: 1 })).toBe(false);
  expect(equalNodes(node, { ...node, ctime: { ...time, nanoseconds: 3 } })).toBe(false);
});
