import { expect, test } from 'vitest';
import { toHex } from '../../base/bytes.ts';
import { noise } from '../engine-test-support.ts';
import { TreeFixture } from '../tree-test-support.ts';
import { type OnceVisitor, OnceWalk } from './walk-once.ts';

function visit(fixture: TreeFixture): { walk: OnceWalk; read: string[]; lost: string[] } {
  const [read, lost]: [string[], string[]] = [[], []];
  const seen = new Set<string>();
  const visitor: OnceVisitor = {
    isNew: (tree) => seen.size < seen.add(toHex(tree)).size,
    nodes: (tree, nodes) => {
      read.push(toHex(tree));
      for (const { subtree } of nodes) if (subtree) walk.enter(subtree);
    },
    unreadable: (tree) => void lost.push(toHex(tree)),
  };
  const walk: OnceWalk = new OnceWalk(fixture.indexed, visitor, fixture.context);
  return { walk, read, lost };
}

test('every tree is read once, however often it is met', async () => {
  const fixture = await TreeFixture.create();
  const same = { deep: { f: 'x' } };
  const root = await fixture.put({ a: same, b: same, c: { d: same } });
  const { walk, read, lost } = visit(fixture);
  walk.enter(root);
  walk.enter(root);
  await walk.run();
  // The root, `c`, and what the others have in common.
  expect(new Set(read).size).toBe(4);
  expect(read).toHaveLength(4);
  expect(lost).toEqual([]);
  const further = await fixture.put({ e: { d: same } });
  walk.enter(further);
  await walk.run();
  expect(read).toHaveLength(5);
});

test('what is lost, or in no index, is told, and the rest is read', async () => {
  const fixture = await TreeFixture.create();
  const lostTree = await fixture.put({ lost: 'x' });
  const root = await fixture.put({
    a: { lost: 'x' },
    b: { type: 'dir', subtree: noise(32, 1) },
    c: { whole: 'x' },
  });
  fixture.lose('tree', lostTree);
  const { walk, read, lost } = visit(fixture);
  walk.enter(root);
  await walk.run();
  expect(read).toHaveLength(2);
  expect(lost.toSorted()).toEqual([toHex(lostTree), toHex(noise(32, 1))].toSorted());
});

test('what the visitor throws ends it, and nothing is left over', async () => {
  const fixture = await TreeFixture.create();
  const root = await fixture.put({ a: { f: 'x' }, b: { g: 'y' } });
  let isBroken = true;
  let count = 0;
  const walk = new OnceWalk(
    fixture.indexed,
    {
      isNew: () => true,
      nodes: (_, nodes) => {
        count++;
        for (const { subtree } of nodes) if (subtree) walk.enter(subtree);
        if (isBroken) throw new Error('no more');
      },
      unreadable: () => {},
    },
    fixture.context,
  );
  walk.enter(root);
  await expect(walk.run()).rejects.toThrow('no more');
  isBroken = false;
  await walk.run();
  expect(count).toBe(1);
});
