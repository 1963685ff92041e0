import { throwIfAborted } from '../base/abort.ts';
import { compareBytes, equalBytes, toHex } from '../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import { areSorted, type TreeNode, type TreeNodes } from '../repository/tree.ts';
import { BlobMarks, contentIds } from './trees/blob-marks.ts';
import type { EngineContext } from './context.ts';
import { equalNodes } from './trees/equal-nodes.ts';
import { joinSnapshotPath } from './trees/snapshot-path.ts';
import { assertWalkable, TreeBudget, type TreeLimits } from './trees/tree-budget.ts';
import { TreeReader } from './trees/tree-reader.ts';

/** One difference. */
export interface DiffChange {
  /** From the root of the comparison; folders end with a slash. */
  readonly path: Uint8Array;
  /** Any of `+`, `-`, `T` (type), `M` (content), `?` (content, but not metadata), `U` (metadata), as restic joins them. */
  readonly modifier: string;
}

/** What was added or removed. Sizes in bytes, before compression. */
export interface DiffCounts {
  readonly files: number;
  readonly dirs: number;
  readonly others: number;
  readonly dataBlobs: number;
  readonly treeBlobs: number;
  readonly bytes: number;
}

/** The numbers of a comparison: `changedFiles` have other content, the rest is on one side only. */
export interface DiffStatistics {
  readonly changedFiles: number;
  readonly added: DiffCounts;
  readonly removed: DiffCounts;
}

/** What is compared. `onChange` is called in the order of the paths; ids have 32 bytes. */
export interface DiffRequest {
  /** Root trees of both sides. */
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  /** Also tell of entries that differ in metadata only. */
  readonly metadata: boolean;
  /** What the comparison may cost beyond what is stored. Tests give theirs. */
  readonly limits?: TreeLimits;
  onChange(change: DiffChange): void;
}

const markBefore = 1;
const markAfter = 2;
const markCommon = 4;
const root: Uint8Array = new Uint8Array(0);
const slash = Uint8Array.of(0x2f);

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/**
 * Compares two trees, in the order of their names, and counts.
 *
 * @throws BLOB_NOT_FOUND, BLOB_DAMAGED, TREE_DAMAGED: a comparison with holes would mislead; CANCELLED
 */
export async function diffTrees(
  indexed: IndexedRepository,
  request: DiffRequest,
  context: EngineContext,
): Promise<DiffStatistics> {
  const comparison = new Comparison(indexed, request, context);
  await comparison.compareRoots();
  return comparison.statistics();
}

class Comparison {
  readonly #indexed: IndexedRepository;
  readonly #request: DiffRequest;
  readonly #context: EngineContext;
  readonly #reader: TreeReader;
  readonly #marks: BlobMarks;
  readonly #budget: TreeBudget;
  readonly #added: Mutable<DiffCounts> = emptyCounts();
  readonly #removed: Mutable<DiffCounts> = emptyCounts();
  #changedFiles = 0;

  constructor(indexed: IndexedRepository, request: DiffRequest, context: EngineContext) {
    this.#indexed = indexed;
    this.#request = request;
    this.#context = context;
    this.#reader = new TreeReader(indexed, { signal: context.signal });
    this.#marks = new BlobMarks(indexed.index);
    this.#budget = new TreeBudget(indexed.index, request.limits);
  }

  async compareRoots(): Promise<void> {
    const { before, after } = this.#request;
    this.#marks.add('tree', before, markBefore);
    this.#marks.add('tree', after, markAfter);
    await this.#compareTrees(new Uint8Array(0), { before, after }, 0);
  }

  statistics(): DiffStatistics {
    const { index } = this.#indexed;
    for (const { entry, marks } of this.#marks.marked()) {
      if (marks !== markBefore && marks !== markAfter) continue;
      const counts = marks === markAfter ? this.#added : this.#removed;
      if (index.typeOf(entry) === 'data') counts.dataBlobs++;
      else counts.treeBlobs++;
      counts.bytes += index.plainSizeOf(entry);
    }
    return { changedFiles: this.#changedFiles, added: this.#added, removed: this.#removed };
  }

  async #load(tree: Uint8Array, depth: number, path = root): Promise<TreeNodes> {
    throwIfAborted(this.#context.signal);
    assertWalkable(path, depth);
    const nodes = await this.#read(tree);
    if (this.#budget.admits(tree, nodes.length)) return nodes;
    throw new HoldfastError('TREE_DAMAGED', {
      message: 'the snapshots repeat their folders without end, so they are not compared',
      hint: 'Compare folders of them, as SNAPSHOT:folder.',
      details: this.#budget.counts,
    });
  }

  async #read(tree: Uint8Array): Promise<TreeNodes> {
    try {
      return sorted(await this.#reader.load(tree));
    } catch (error) {
      if (!isHoldfastError(error, 'TREE_DAMAGED')) throw error;
      const details = { ...error.details, tree: toHex(tree) };
      throw new HoldfastError('TREE_DAMAGED', { details, cause: error });
    }
  }

  // Awaiting before going down keeps the depth of these calls out of the native stack.
  async #compareTrees(
    path: Uint8Array,
    trees: { readonly before: Uint8Array; readonly after: Uint8Array },
    depth: number,
  ): Promise<void> {
    const before = await this.#load(trees.before, depth, path);
    const after = await this.#load(trees.after, depth, path);
    for (const [old, now] of mergeByName(before, after)) {
      if (old) this.#mark(old, markBefore);
      if (now) this.#mark(now, markAfter);
      const name = (old ?? now)?.name ?? new Uint8Array(0);
      const child = joinSnapshotPath(path, name);
      if (old && now) await this.#comparePair(child, { old, now }, depth);
      else if (old) await this.#tellSide(child, old, { isAdded: false, depth });
      else if (now) await this.#tellSide(child, now, { isAdded: true, depth });
    }
  }

  async #comparePair(
    path: Uint8Array,
    { old, now }: { readonly old: TreeNode; readonly now: TreeNode },
    depth: number,
  ): Promise<void> {
    const modifier = this.#modifierOf(old, now);
    if (modifier !== '') this.#tell(path, now, modifier);
    if (!old.subtree || !now.subtree) return;
    if (equalBytes(old.subtree, now.subtree)) await this.#markCommonTree(old.subtree, depth + 1);
    else await this.#compareTrees(path, { before: old.subtree, after: now.subtree }, depth + 1);
  }

  #modifierOf(old: TreeNode, now: TreeNode): string {
    let modifier = old.type === now.type ? '' : 'T';
    const isFile = old.type === 'file' && now.type === 'file';
    if (isFile && !equalContent(old, now)) {
      this.#changedFiles++;
      modifier += 'M';
      // The same metadata, ctime included, but other bytes: the file system lost some.
      if (equalNodes(old, now, { ignoreContent: true })) modifier += '?';
    } else if (this.#request.metadata && !equalNodes(old, now)) modifier += 'U';
    return modifier;
  }

  /** Tells that an entry and all below it is on one side only. */
  async #tellSide(
    path: Uint8Array,
    node: TreeNode,
    side: { readonly isAdded: boolean; readonly depth: number },
  ): Promise<void> {
    const counts = side.isAdded ? this.#added : this.#removed;
    this.#tell(path, node, side.isAdded ? '+' : '-');
    if (node.type === 'file') counts.files++;
    else if (node.type === 'dir') counts.dirs++;
    else counts.others++;
    if (!node.subtree) return;
    const depth = side.depth + 1;
    for (const child of await this.#load(node.subtree, depth, path)) {
      this.#mark(child, side.isAdded ? markAfter : markBefore);
      await this.#tellSide(joinSnapshotPath(path, child.name), child, { ...side, depth });
    }
  }

  /** Marks what is below a folder that is the same on both sides. Each tree is read once only. */
  async #markCommonTree(tree: Uint8Array, depth: number): Promise<void> {
    if (this.#marks.add('tree', tree, markCommon) === true) return;
    for (const node of await this.#load(tree, depth)) {
      for (const id of contentIds(node)) this.#marks.add('data', id, markCommon);
      if (node.subtree) await this.#markCommonTree(node.subtree, depth + 1);
    }
  }

  #mark(node: TreeNode, mark: number): void {
    for (const id of contentIds(node)) this.#marks.add('data', id, mark);
    if (node.subtree) this.#marks.add('tree', node.subtree, mark);
  }

  #tell(path: Uint8Array, node: TreeNode, modifier: string): void {
    const shown = node.type === 'dir' ? Buffer.concat([path, slash]) : path;
    this.#request.onChange({ path: shown, modifier });
  }
}

function emptyCounts(): Mutable<DiffCounts> {
  return { files: 0, dirs: 0, others: 0, dataBlobs: 0, treeBlobs: 0, bytes: 0 };
}

function equalContent(a: TreeNode, b: TreeNode): boolean {
  const none = new Uint8Array(0);
  return equalBytes(a.content ?? none, b.content ?? none);
}

/** Trees of other programs need not be sorted. */
function sorted(nodes: TreeNodes): TreeNodes {
  return areSorted(nodes) ? nodes : [...nodes].sort((a, b) => compareBytes(a.name, b.name));
}

/** Pairs entries of two sorted lists by their names. */
function* mergeByName(
  before: TreeNodes,
  after: TreeNodes,
): Generator<readonly [old: TreeNode | undefined, now: TreeNode | undefined]> {
  const olds = before[Symbol.iterator]();
  const nows = after[Symbol.iterator]();
  let old = nextOf(olds);
  let now = nextOf(nows);
  while (old || now) {
    const order = old && now ? compareBytes(old.name, now.name) : old ? -1 : 1;
    yield [order <= 0 ? old : undefined, order >= 0 ? now : undefined];
    if (order <= 0) old = nextOf(olds);
    if (order >= 0) now = nextOf(nows);
  }
}

function nextOf(nodes: Iterator<TreeNode>): TreeNode | undefined {
  const { value, done } = nodes.next();
  return done ? undefined : value;
}
