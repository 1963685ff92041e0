import { expect, test } from 'vitest';
import { toHex } from '../../base/bytes.ts';
import { TreeFixture } from '../tree-test-support.ts';
import { TreeReader } from './tree-reader.ts';
import { type FolderBelow, foldTrees, type OpenTree, type TreeFolder } from './fold-trees.ts';
import { readTree } from './read-tree.ts';

interface Counted extends OpenTree<FolderBelow> {
  readonly id: string;
  readonly ownCount: number;
}

/** Counts the entries below trees. */
class Counter implements TreeFolder<FolderBelow, Counted> {
  readonly counts = new Map<string, number>();
  readonly opened: string[] = [];
  readonly #reader: TreeReader;

  constructor({ indexed }: TreeFixture) {
    this.#reader = new TreeReader(indexed, {});
  }

  isKnown(tree: Uint8Array): boolean {
    return this.counts.has(toHex(tree));
  }

  async open(tree: Uint8Array): Promise<Counted> {
    const nodes = [...((await readTree(this.#reader, tree)).nodes ?? [])];
    this.opened.push(toHex(tree));
    return { id: toHex(tree), ownCount: nodes.length, below: nodes };
  }

  close({ id, ownCount, below }: Counted): void {
    let sum = ownCount;
    for (const { subtree } of below) if (subtree) sum += this.counts.get(toHex(subtree)) ?? NaN;
    this.counts.set(id, sum);
  }
}

test('a tree is judged once, after all that is below it', async () => {
  const fixture = await TreeFixture.create();
  const same = { x: 'x', y: { z: 'z' } };
  const root = await fixture.put({ a: same, b: { c: same, d: same }, e: 'e' });
  const counter = new Counter(fixture);
  await foldTrees(root, counter, undefined);
  expect(counter.counts.get(toHex(root))).toBe(3 + 3 + 2 + 3 + 3);
  expect(new Set(counter.opened).size).toBe(counter.opened.length);
  expect(counter.opened).toHaveLength(4);
});

test('a very deep chain is folded without recursion, and can be stopped', async () => {
  const fixture = await TreeFixture.create();
  let tree = await fixture.put({ end: 'x' });
  for (let i = 0; i < 2000; i++) tree = await fixture.put({ d: { type: 'dir', subtree: tree } });
  const counter = new Counter(fixture);
  await foldTrees(tree, counter, undefined);
  expect(counter.counts.get(toHex(tree))).toBe(2001);
  const stop = foldTrees(tree, new Counter(fixture), AbortSignal.abort());
  await expect(stop).rejects.toMatchObject({ code: 'CANCELLED' });
});
