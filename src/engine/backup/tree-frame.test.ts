import fc from 'fast-check';
import { expect, test } from 'vitest';
import { compareBytes } from '../../base/bytes.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { statusOf } from './backup-test-support.ts';
import { nodeOf } from './node.ts';
import { NodeCursor } from './tree-frame.ts';

function nodeNamed(name: Uint8Array): TreeNode {
  return nodeOf({ name, path: name, status: statusOf('fifo'), extendedAttributes: [] }, {});
}

const names = fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 3 }), {
  selector: (name) => Buffer.from(name).toString('hex'),
  maxLength: 40,
});

test('a cursor finds every name that is asked for in order, sorted or not', () => {
  const property = fc.property(names, names, fc.boolean(), (stored, asked, isSorted) => {
    const order = isSorted ? stored.toSorted(compareBytes) : stored;
    const cursor = new NodeCursor(order.map(nodeNamed));
    const known = new Set(stored.map((name) => Buffer.from(name).toString('hex')));
    for (const name of asked.toSorted(compareBytes)) {
      const found = cursor.find(name);
      const text = Buffer.from(name).toString('hex');
      expect(found && Buffer.from(found.name).toString('hex')).toBe(
        known.has(text) ? text : undefined,
      );
    }
  });
  fc.assert(property);
});
