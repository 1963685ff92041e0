import { compareBytes } from '../../base/bytes.ts';
import { TreeCursor, type TreeNode } from '../../repository/tree.ts';
import type { ParentTrees } from './parent-trees.ts';
import type { PreviousTree } from './wide-tree.ts';

/** Finds nodes of a tree by name, for names that are asked for in ascending order. */
export interface NodeFinder {
  find(name: Uint8Array): TreeNode | undefined;
}

/**
 * Goes through a large tree of the parent snapshot from start to end, along with the names of the directory.
 *
 * Of a tree that is not in order, which only other programs write, what comes too late counts as not there; of one that
 * is damaged, all that comes after.
 */
export class PreviousNodes implements NodeFinder {
  readonly #parents: ParentTrees;
  readonly #id: Uint8Array;
  #cursor: TreeCursor | undefined;

  constructor(parents: ParentTrees, { id, tree }: PreviousTree) {
    this.#parents = parents;
    this.#id = id;
    this.#cursor = this.#parents.read(id, () => new TreeCursor(tree));
  }

  /** The cursor, behind the names that were asked for; undefined if the tree is damaged. */
  get cursor(): TreeCursor | undefined {
    return this.#cursor;
  }

  find(name: Uint8Array): TreeNode | undefined {
    for (let node = this.#next(); node; node = this.#next()) {
      const order = compareBytes(node.name, name);
      if (order === 0) return node;
      if (order < 0) continue;
      this.#cursor?.unread(node);
      return undefined;
    }
    return undefined;
  }

  /** True if the tree ends here just as this program would end it. */
  endsAsOurs(): boolean {
    return this.#cursor?.endsAsOurs() ?? false;
  }

  #next(): TreeNode | undefined {
    const cursor = this.#cursor;
    if (!cursor) return undefined;
    let isRead = false;
    const node = this.#parents.read(this.#id, () => {
      const next = cursor.next();
      isRead = true;
      return next;
    });
    if (!isRead) this.#cursor = undefined;
    return node;
  }
}
