import { endsWork } from '../../base/errors.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { CallOptions } from '../../storage/backend.ts';
import { contentIds } from '../blob-marks.ts';
import { TreeReader } from '../tree-reader.ts';
import { subtreesOf } from './lost-trees.ts';

const unknown = 0;
const whole = 1;
const broken = 2;

/** A tree whose directories are being looked at. */
interface OpenTree {
  readonly entry: number;
  readonly subtrees: readonly Uint8Array[];
  next: number;
  isWhole: boolean;
}

/** Tells of trees whether all below them is in the index. Looks at each tree once, however many hold it. */
export class WholeTrees {
  readonly #indexed: IndexedRepository;
  readonly #reader: TreeReader;
  /** What is known, by entry. */
  readonly #states: Uint8Array;

  constructor(indexed: IndexedRepository, options: CallOptions) {
    this.#indexed = indexed;
    this.#reader = new TreeReader(indexed, options);
    this.#states = new Uint8Array(indexed.index.blobCount);
  }

  /** True if the tree, all trees below it and the contents of all files in them are in the index. */
  async isWhole(id: Uint8Array): Promise<boolean> {
    const root = this.#indexed.index.find('tree', id);
    if (root < 0) return false;
    // Directories can be nested deeper than calls.
    const stack = [await this.#open(root)];
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const subtree = top.subtrees[top.next++];
      if (!subtree) {
        this.#states[top.entry] = top.isWhole ? whole : broken;
        stack.pop();
        const parent = stack.at(-1);
        if (parent && !top.isWhole) parent.isWhole = false;
        continue;
      }
      const entry = this.#indexed.index.find('tree', subtree);
      const state = entry < 0 ? broken : this.#states[entry];
      if (state === broken) top.isWhole = false;
      else if (state === unknown) stack.push(await this.#open(entry));
    }
    return this.#states[root] === whole;
  }

  async #open(entry: number): Promise<OpenTree> {
    const { index } = this.#indexed;
    try {
      const nodes = await this.#reader.load(index.idOf(entry));
      let isWhole = true;
      for (const node of nodes) {
        for (const id of contentIds(node)) if (index.find('data', id) < 0) isWhole = false;
        if (node.type === 'dir' && !node.subtree) isWhole = false;
        if (node.invalid !== undefined) isWhole = false;
      }
      return { entry, subtrees: [...subtreesOf(nodes)], next: 0, isWhole };
    } catch (error) {
      if (endsWork(error)) throw error;
      return { entry, subtrees: [], next: 0, isWhole: false };
    }
  }
}
