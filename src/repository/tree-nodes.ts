import { isNameBefore, type TreeNode } from './node.ts';
import type { TreeBytes } from './tree-bytes.ts';
import { TreeCursor } from './tree-cursor.ts';
import { decodeTree } from './tree-decoder.ts';

/**
 * The nodes of a tree in their stored order: an array, or, of a tree that is kept in pieces, what decodes them anew each
 * time they are gone through, so that nobody should keep what is not needed.
 */
export interface TreeNodes extends Iterable<TreeNode> {
  readonly length: number;
}

/** The nodes of a tree, all of which can be decoded. @throws TREE_DAMAGED */
export function nodesOf(tree: TreeBytes): TreeNodes {
  return tree.whole ? decodeTree(tree.whole) : new NodesInPieces(tree);
}

/** True if the names of all nodes come in order. */
export function areSorted(nodes: TreeNodes): boolean {
  if (nodes instanceof NodesInPieces) return nodes.isSorted;
  let previous: TreeNode | undefined;
  for (const node of nodes) {
    if (previous && !isNameBefore(previous.name, node.name)) return false;
    previous = node;
  }
  return true;
}

class NodesInPieces implements TreeNodes {
  readonly length: number;
  readonly isSorted: boolean;
  readonly #tree: TreeBytes;

  constructor(tree: TreeBytes) {
    this.#tree = tree;
    const cursor = new TreeCursor(tree);
    let isValid = true;
    // Before anybody acts on the first node all are known to be readable.
    for (const node of cursor) isValid &&= node.invalid === undefined;
    this.length = cursor.nodeCount;
    this.isSorted = cursor.isSorted && isValid;
  }

  [Symbol.iterator](): Iterator<TreeNode> {
    return new TreeCursor(this.#tree)[Symbol.iterator]();
  }
}
