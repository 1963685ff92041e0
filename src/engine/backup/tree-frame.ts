import { compareBytes } from '../../base/bytes.ts';
import type { SourceEntry } from '../../sources/source.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { NodeDraft } from './node.ts';
import type { NodeFinder, PreviousNodes } from './previous-nodes.ts';
import type { StoredTree } from './tree-stream.ts';
import type { TreeRange, WideTree } from './wide-tree.ts';

/** A directory that is as its stored tree says, but for what may have changed below it. */
export interface MatchedTree {
  /** The stored tree; of a part of a directory nothing. */
  readonly bytes: Uint8Array;
  /** The stored trees of its directories, by slot. */
  readonly subtrees: ReadonlyMap<number, Uint8Array>;
}

/** A directory that is listed in parts, or whose tree in the parent snapshot is very large. */
export interface WideFrame {
  readonly tree: WideTree;
  /** Goes through the parent's tree along with the parts; absent where there is nothing to compare with. */
  previous: PreviousNodes | undefined;
  /** The last part ended where the parent's tree ends. */
  endsAlike: boolean;
  /** How the tree was stored, once it is. */
  stored: StoredTree | undefined;
}

/** One part of such a directory. */
export interface FramePart {
  readonly wide: WideFrame;
  readonly number: number;
  /** Set for a part without changes of its own: where it is in the parent's tree. */
  range: TreeRange | undefined;
}

/** One directory, or one part of a directory, whose tree is being put together. */
export class TreeFrame {
  readonly parent: TreeFrame | undefined;
  /** Where the directory's node stands in the parent. */
  readonly slot: number;
  /** Absent for the root of the snapshot. */
  readonly entry: SourceEntry | undefined;
  readonly node: NodeDraft | undefined;
  /** The directory's node in the parent snapshot. */
  readonly previousNode: TreeNode | undefined;
  /** The tree to compare with. */
  readonly previousTree: Uint8Array | undefined;
  /** Set if the tree is put together from parts, which are frames below this one. */
  wide: WideFrame | undefined;
  /** Set for a part: its parent is the directory, and so is its entry. */
  readonly part: FramePart | undefined;
  /** Set for a directory without changes of its own: `nodes` then has its directories only. */
  matched: MatchedTree | undefined;
  /** Finished nodes by slot; undefined while on the way or if left out. */
  nodes: (TreeNode | undefined)[] = [];
  /** Files and directories on the way, plus one while the directory itself is not listed. */
  pending = 1;

  constructor(options: {
    readonly parent?: TreeFrame;
    readonly slot?: number;
    readonly entry?: SourceEntry;
    readonly node?: NodeDraft;
    readonly previousNode?: TreeNode | undefined;
    /** For the root, which has no node. */
    readonly previousTree?: Uint8Array | undefined;
    readonly part?: FramePart;
  }) {
    this.parent = options.parent;
    this.slot = options.slot ?? 0;
    this.entry = options.entry;
    this.node = options.node;
    this.previousNode = options.previousNode;
    this.part = options.part;
    this.previousTree = options.previousTree ?? options.previousNode?.subtree;
  }
}

/** Finds nodes of a sorted tree by name, for names that are asked for in ascending order. */
export class NodeCursor implements NodeFinder {
  readonly #nodes: readonly TreeNode[];
  #at = 0;

  constructor(nodes: readonly TreeNode[]) {
    // Foreign programs may have written an unsorted tree.
    this.#nodes = isSorted(nodes) ? nodes : nodes.toSorted((a, b) => compareBytes(a.name, b.name));
  }

  find(name: Uint8Array): TreeNode | undefined {
    for (; this.#at < this.#nodes.length; this.#at++) {
      const node = this.#nodes[this.#at];
      if (!node) return undefined;
      const order = compareBytes(node.name, name);
      if (order === 0) return node;
      if (order > 0) return undefined;
    }
    return undefined;
  }
}

function isSorted(nodes: readonly TreeNode[]): boolean {
  for (let i = 1; i < nodes.length; i++) {
    const [a, b] = [nodes[i - 1], nodes[i]];
    if (a && b && compareBytes(a.name, b.name) >= 0) return false;
  }
  return true;
}
