import type { IndexedRepository } from '../../repository/indexed.ts';
import type { CallOptions } from '../../storage/backend.ts';
import { contentIds } from '../trees/blob-marks.ts';
import { TreeReader } from '../trees/tree-reader.ts';
import {
  type FolderBelow,
  foldTrees,
  type OpenTree,
  type TreeFolder,
} from '../trees/fold-trees.ts';
import { readTree } from '../trees/read-tree.ts';
import { subtreesOf } from './lost-trees.ts';

const unknown = 0;
const whole = 1;
const broken = 2;

/** A tree whose directories are being looked at. */
interface JudgedTree extends OpenTree<FolderBelow> {
  readonly entry: number;
  readonly isWhole: boolean;
}

/** Tells of trees whether all below them is in the index. Looks at each tree once, however many hold it. */
export class WholeTrees implements TreeFolder<FolderBelow, JudgedTree> {
  readonly #indexed: IndexedRepository;
  readonly #reader: TreeReader;
  readonly #options: CallOptions;
  /** What is known, by entry. */
  readonly #states: Uint8Array;

  constructor(indexed: IndexedRepository, options: CallOptions) {
    this.#indexed = indexed;
    this.#reader = new TreeReader(indexed, options);
    this.#options = options;
    this.#states = new Uint8Array(indexed.index.blobCount);
  }

  /** True if the tree, all trees below it and the contents of all files in them are in the index. */
  async isWhole(id: Uint8Array): Promise<boolean> {
    await foldTrees(id, this, this.#options.signal);
    return this.#stateOf(id) === whole;
  }

  isKnown(tree: Uint8Array): boolean {
    return this.#stateOf(tree) !== unknown;
  }

  async open(id: Uint8Array): Promise<JudgedTree | undefined> {
    const { index } = this.#indexed;
    const entry = index.find('tree', id);
    this.#states[entry] = broken;
    const tree = await readTree(this.#reader, id);
    if (!tree.nodes) return undefined;
    let isWhole = true;
    for (const node of tree.nodes) {
      for (const blob of contentIds(node)) if (index.find('data', blob) < 0) isWhole = false;
      if (node.type === 'dir' && !node.subtree) isWhole = false;
      if (node.invalid !== undefined) isWhole = false;
    }
    return {
      entry,
      isWhole,
      below: Array.from(subtreesOf(tree.nodes), (subtree) => ({ subtree })),
    };
  }

  close({ entry, isWhole, below }: JudgedTree): void {
    const isAllWhole = below.every(({ subtree }) => subtree && this.#stateOf(subtree) === whole);
    this.#states[entry] = isWhole && isAllWhole ? whole : broken;
  }

  /** A tree that is not in the index is broken. */
  #stateOf(tree: Uint8Array): number {
    const entry = this.#indexed.index.find('tree', tree);
    return entry < 0 ? broken : (this.#states[entry] ?? unknown);
  }
}
