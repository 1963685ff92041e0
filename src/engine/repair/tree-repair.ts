import { joinSnapshotPath, pathText } from '../trees/snapshot-path.ts';
import { foldTrees, type OpenTree, type TreeFolder } from '../trees/fold-trees.ts';
import { isDamage, readTree } from '../trees/read-tree.ts';
import { compareBytes, concatBytes, fromHex, toHex } from '../../base/bytes.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { type Id, idBytes } from '../../repository/id.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { localZone } from '../../repository/time-format.ts';
import { restorableTypes, TreeEncoder, type TreeNode } from '../../repository/tree.ts';
import { contentIds } from '../trees/blob-marks.ts';
import type { BlobWriter } from '../packs/blob-writer.ts';
import type { EngineContext } from '../context.ts';
import { TreeReader } from '../trees/tree-reader.ts';

/** What became of one entry of a snapshot. */
export type TreeLoss = 'content' | 'folder' | 'node';

/** Told of what is taken out, once for each tree, with the path where it was met first. */
export type LossListener = (path: string, loss: TreeLoss) => void;

/** Longer paths are cut in messages: a hostile repository nests without end. */
const pathSizeBytesMax = 4096;

/** A tree that waits for the repair of those below it. */
interface BrokenTree extends OpenTree<TreeNode> {
  readonly id: Uint8Array;
  readonly path: Uint8Array;
  readonly nodes: readonly TreeNode[];
}

/**
 * Makes trees that can be restored whole out of trees that cannot: without the content that is missing, with empty
 * folders in place of lost ones, without entries of no known type. Every tree is looked at once.
 */
export class TreeRepair implements TreeFolder<TreeNode, BrokenTree> {
  readonly #indexed: IndexedRepository;
  readonly #blobs: BlobWriter | undefined;
  readonly #context: EngineContext;
  readonly #reader: TreeReader;
  readonly #encoder = new TreeEncoder(localZone);
  /** By hex id: what a tree becomes, its own id if nothing is wrong with it; undefined if it is lost. */
  readonly #results = new Map<Id, Id | undefined>();
  #onLoss: LossListener = () => {};

  /** @param blobs stores what is new; absent in a dry run */
  constructor(indexed: IndexedRepository, blobs: BlobWriter | undefined, context: EngineContext) {
    this.#indexed = indexed;
    this.#blobs = blobs;
    this.#context = context;
    this.#reader = new TreeReader(indexed, { signal: context.signal });
  }

  /** The repaired form of a tree; undefined if the tree itself is lost. */
  async repair(tree: Id, onLoss: LossListener): Promise<Id | undefined> {
    this.#onLoss = onLoss;
    await foldTrees(idBytes(tree), this, this.#context.signal);
    return this.#results.get(tree);
  }

  isKnown(tree: Uint8Array): boolean {
    return this.#results.has(toHex(tree));
  }

  async open(
    id: Uint8Array,
    place: { readonly above: BrokenTree; readonly folder: TreeNode } | undefined,
  ): Promise<BrokenTree | undefined> {
    // A tree within itself, which needs a broken hash, counts as lost there.
    this.#results.set(toHex(id), undefined);
    const tree = await readTree(this.#reader, id);
    if (!tree.nodes) {
      if (!isDamage(tree.error)) throw tree.error;
      return undefined;
    }
    const path = place ? pathOf(place.above.path, place.folder.name) : new Uint8Array(0);
    const nodes = [...tree.nodes];
    return { id, path, nodes, below: nodes.filter(({ type }) => type === 'dir') };
  }

  async close({ id, path, nodes }: BrokenTree): Promise<void> {
    const repaired: TreeNode[] = [];
    let isChanged = false;
    for (const node of nodes) {
      const tell = (loss: TreeLoss): void => this.#onLoss(pathText(pathOf(path, node.name)), loss);
      const result = await this.#repairNode(node, tell);
      isChanged ||= result !== node;
      if (result) repaired.push(result);
    }
    const key = toHex(id);
    this.#results.set(key, isChanged ? await this.#store(repaired) : key);
  }

  /** The node itself if nothing is wrong with it; undefined if it cannot stay. */
  async #repairNode(node: TreeNode, tell: (loss: TreeLoss) => void): Promise<TreeNode | undefined> {
    if (node.invalid !== undefined || !restorableTypes.has(node.type)) {
      tell('node');
      return undefined;
    }
    if (node.type === 'file') return this.#repairFile(node, tell);
    if (node.type !== 'dir') return node;
    const own = node.subtree && toHex(node.subtree);
    const result = own === undefined ? undefined : this.#results.get(own);
    if (result === undefined) {
      tell('folder');
      return { ...node, subtree: fromHex(await this.#store([])) };
    }
    return result === own ? node : { ...node, subtree: fromHex(result) };
  }

  #repairFile(node: TreeNode, tell: (loss: TreeLoss) => void): TreeNode {
    const { index } = this.#indexed;
    const kept: Uint8Array[] = [];
    let sizeBytes = 0;
    let isWhole = node.content !== undefined;
    for (const id of contentIds(node)) {
      const entry = index.find('data', id);
      isWhole &&= entry >= 0;
      if (entry < 0) continue;
      kept.push(id);
      sizeBytes += index.plainSizeOf(entry);
    }
    if (isWhole) return node;
    tell('content');
    return { ...node, content: concatBytes(kept), sizeBytes };
  }

  async #store(nodes: readonly TreeNode[]): Promise<Id> {
    let previous: TreeNode | undefined;
    for (const node of nodes.toSorted((a, b) => compareBytes(a.name, b.name))) {
      // Of two entries of one name only one could be restored.
      if (previous && compareBytes(previous.name, node.name) === 0) continue;
      this.#encoder.add(node);
      previous = node;
    }
    const json = this.#encoder.finish();
    const key = toHex((await this.#blobs?.add('tree', json)) ?? sha256(json));
    // What is new needs no further look.
    this.#results.set(key, key);
    return key;
  }
}

function pathOf(parent: Uint8Array, name: Uint8Array): Uint8Array {
  return joinSnapshotPath(parent, name).subarray(0, pathSizeBytesMax);
}
