import {
  decodeTree,
  iterateTree,
  TreeEncoder,
  type TreeNode,
} from '../../../src/repository/tree.ts';
import { TreeMatcher } from '../../../src/repository/tree-matcher.ts';
import { isNameBefore } from '../../../src/repository/node.ts';
import { utcZone } from '../../../src/repository/time-format.ts';
import { answerOf, must, mustEqual } from '../expect.ts';
import { mutateJson, spaced } from '../mutate-json.ts';
import { treeSeeds } from '../seeds.ts';
import type { FuzzTarget } from '../target.ts';

/** Trees: decoded at once and node by node, with and without spaces, encoded again, matched. */
export const treeTarget: FuzzTarget = {
  name: 'tree',
  runsInCi: 400,
  seeds: treeSeeds,
  mutate: mutateJson,
  run: (input) => {
    const decoded = answerOf(() => decodeTree(input), 'TREE_DAMAGED');
    const apart = answerOf(() => decodeTree(spaced(input)), 'TREE_DAMAGED');
    const visited: TreeNode[] = [];
    const iterated = answerOf(
      () => iterateTree(input, (n) => void visited.push(n)),
      'TREE_DAMAGED',
    );
    must(iterated.isGiven === decoded.isGiven, 'both decoders accept the same');
    if (!decoded.isGiven) return;
    const nodes = decoded.value;
    mustEqual(visited, nodes, 'both decoders give the same nodes');
    must(apart.isGiven, 'a tree with spaces is accepted, too');
    mustEqual(apart.isGiven && apart.value.map(bare), nodes.map(bare), 'spaces do not matter');
    for (const node of nodes) checkNode(node);
    encodeAgain(nodes);
  },
};

/** A node without what is kept as it is written. */
function bare(node: TreeNode): TreeNode {
  return { ...node, genericAttributes: undefined };
}

function checkNode(node: TreeNode): void {
  if (node.invalid !== undefined) return;
  const name = Buffer.from(node.name).toString('latin1');
  must(!/^\.{0,2}$|[/\0]/.test(name), 'the name of a node stays in its folder');
  must(
    (node.content === undefined) === (node.type !== 'file'),
    'files, and they alone, have content',
  );
  must(
    (node.subtree === undefined) === (node.type !== 'dir'),
    'folders, and they alone, have a tree',
  );
}

function encodeAgain(nodes: readonly TreeNode[]): void {
  const usable = nodes
    .filter(({ invalid }) => invalid === undefined)
    .toSorted((a, b) => (isNameBefore(a.name, b.name) ? -1 : 1));
  const encoder = new TreeEncoder(utcZone);
  for (const node of usable) encoder.add(node);
  const bytes = encoder.finish();
  const again = decodeTree(bytes);
  mustEqual(again.map(settled), usable.map(settled), 'what is encoded again is the same');
  for (const node of again) encoder.add(node);
  mustEqual(encoder.finish(), bytes, 'the bytes settle');
  const matcher = new TreeMatcher(utcZone);
  must(matcher.begin(bytes), 'a tree begins as one');
  for (const node of again) {
    if (node.type === 'file') mustEqual(matcher.takeFile(node), node.content, 'content matched');
    else if (node.type === 'dir')
      mustEqual(matcher.takeDirectory(node), node.subtree, 'a tree matched');
    else must(matcher.takeOther(node), 'a node matches itself');
  }
  must(matcher.atEnd(), 'a tree matches to its end');
}

/** A node with all ways to say nothing made one, and without references that its type has not: they are only counted. */
function settled(node: TreeNode): TreeNode {
  const linkTarget = node.linkTarget?.length === 0 ? undefined : node.linkTarget;
  const error = node.error === '' ? undefined : node.error;
  return { ...node, linkTarget, error, stray: undefined };
}
