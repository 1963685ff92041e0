import { throwIfAborted } from '../../base/abort.ts';
import { concatBytes, equalBytes, toHex } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { TreeBytes, treeBegin, TreeCursor, treeEnd, type TreeNode } from '../../repository/tree.ts';
import type { BlobWriter } from '../packs/blob-writer.ts';
import type { EngineContext } from '../context.ts';
import type { EntrySelect } from '../trees/entry-select.ts';
import { joinSnapshotPath } from '../trees/snapshot-path.ts';
import { assertWalkable, TreeBudget } from '../trees/tree-budget.ts';
import { TreeReader } from '../trees/tree-reader.ts';

/** Which entries of a snapshot stay. */
export interface Selection {
  readonly select: EntrySelect;
  /** What is selected was named: folders that hold nothing of it go, too. Else they stay, empty. */
  readonly isInclude: boolean;
}

/** A tree that was filtered. */
export interface FilteredTree {
  /** The same as before if nothing went. */
  readonly tree: Uint8Array;
  /** No entry is left of those that there were. */
  readonly isEmpty: boolean;
}

/** What is left of the files of a snapshot. */
export interface FileCounts {
  fileCount: number;
  sizeBytes: number;
}

interface Folder {
  readonly path: Uint8Array;
  readonly tree: Uint8Array;
  readonly depth: number;
}

/** Where a node stands in its tree, without the comma before it. */
interface NodeBytes {
  readonly node: TreeNode;
  readonly bytes: Uint8Array;
}

const comma = Buffer.from(',');

/**
 * Filters the trees of one snapshot. What stays keeps its bytes, so that nothing is lost that only other programs know.
 */
export class TreeFilter {
  readonly counts: FileCounts = { fileCount: 0, sizeBytes: 0 };
  readonly #onFolder: ((path: Uint8Array) => void) | undefined;
  readonly #selection: Selection | undefined;
  readonly #writer: BlobWriter | undefined;
  readonly #context: EngineContext;
  readonly #reader: TreeReader;
  readonly #budget: TreeBudget;

  /**
   * @param how.selection absent: everything stays, and is counted
   * @param how.writer takes new trees; absent in a dry run
   * @param how.onFolder hears of each folder as it is begun
   */
  constructor(
    indexed: IndexedRepository,
    how: {
      readonly selection: Selection | undefined;
      readonly writer: BlobWriter | undefined;
      readonly onFolder?: (path: Uint8Array) => void;
    },
    context: EngineContext,
  ) {
    this.#selection = how.selection;
    this.#writer = how.writer;
    this.#onFolder = how.onFolder;
    this.#context = context;
    this.#reader = new TreeReader(indexed, { signal: context.signal });
    this.#budget = new TreeBudget(indexed.index);
  }

  /** @throws BLOB_NOT_FOUND, BLOB_DAMAGED, TREE_DAMAGED, UNSUPPORTED (a tree that would lose something) */
  filter(root: Uint8Array): Promise<FilteredTree> {
    return this.#filter({ path: new Uint8Array(0), tree: root, depth: 0 });
  }

  async #filter(folder: Folder): Promise<FilteredTree> {
    throwIfAborted(this.#context.signal);
    assertWalkable(folder.path, folder.depth);
    this.#onFolder?.(folder.path);
    const whole = wholeOf(await this.#reader.open(folder.tree));
    const nodes = nodesWithBytes(whole);
    this.#budget.enter(folder.tree, nodes.length);
    const kept: Uint8Array[] = [];
    let isChanged = false;
    for (const { node, bytes } of nodes) {
      const left = await this.#filterNode(node, bytes, folder);
      if (left) kept.push(left);
      isChanged ||= left !== bytes;
    }
    const isEmpty = kept.length === 0;
    if (!isChanged) return { tree: folder.tree, isEmpty };
    assertLossless(whole, nodes, folder.tree);
    return { tree: await this.#store(treeOf(kept)), isEmpty };
  }

  /** What is left of a node: its bytes, those of a folder that lost something, or nothing. */
  async #filterNode(
    node: TreeNode,
    bytes: Uint8Array,
    folder: Folder,
  ): Promise<Uint8Array | undefined> {
    if (node.invalid !== undefined) throw damaged(folder.tree, node.invalid);
    const isDirectory = node.type === 'dir';
    const path = joinSnapshotPath(folder.path, node.name);
    const { select, isInclude = false } = this.#selection ?? {};
    const { selected, mayHoldSelected } = select?.(path, isDirectory) ?? everything;
    if (!isDirectory) {
      if (selected && node.type === 'file') this.#count(node);
      return selected ? bytes : undefined;
    }
    if (!mayHoldSelected) return undefined;
    const { subtree } = node;
    if (!subtree) throw damaged(folder.tree, 'a folder has no tree');
    const below = await this.#filter({ path, tree: subtree, depth: folder.depth + 1 });
    if (isInclude && !selected && below.isEmpty) return undefined;
    return below.tree === subtree ? bytes : withSubtree(bytes, subtree, below.tree);
  }

  #count({ sizeBytes }: TreeNode): void {
    this.counts.fileCount++;
    this.counts.sizeBytes += sizeBytes;
  }

  async #store(tree: Uint8Array): Promise<Uint8Array> {
    return this.#writer ? this.#writer.add('tree', tree) : new Uint8Array(32);
  }
}

const everything = { selected: true, mayHoldSelected: true };

/** All bytes of a tree. One of millions of entries is in memory whole while it is filtered. */
function wholeOf(tree: TreeBytes): Uint8Array {
  if (tree.whole) return tree.whole;
  const whole = new Uint8Array(tree.sizeBytes);
  let at = 0;
  for (let piece = 0; piece < tree.pieceCount; piece++) {
    const size = tree.sizeOf(piece);
    tree.readPiece(piece, whole.subarray(at, at + size));
    at += size;
  }
  return whole;
}

function nodesWithBytes(whole: Uint8Array): NodeBytes[] {
  const cursor = new TreeCursor(TreeBytes.whole(whole));
  const nodes: NodeBytes[] = [];
  let start = cursor.position;
  for (let node = cursor.next(); node; node = cursor.next()) {
    const from = nodes.length > 0 ? whole.indexOf(0x2c, start) + 1 : start;
    nodes.push({ node, bytes: whole.subarray(from, cursor.position) });
    start = cursor.position;
  }
  return nodes;
}

function treeOf(nodes: readonly Uint8Array[]): Uint8Array {
  return concatBytes([
    treeBegin,
    ...nodes.flatMap((bytes, i) => (i === 0 ? [bytes] : [comma, bytes])),
    treeEnd,
  ]);
}

/** A tree with more than its list of nodes is of a program that knows more than this one. */
function assertLossless(whole: Uint8Array, nodes: readonly NodeBytes[], id: Uint8Array): void {
  if (equalBytes(treeOf(nodes.map(({ bytes }) => bytes)), whole)) return;
  throw new HoldfastError('UNSUPPORTED', {
    message: 'a tree holds more than its entries, which would be lost',
    details: { tree: toHex(id) },
  });
}

/** The node of a folder with another tree below it. */
function withSubtree(node: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array {
  // A name cannot hold this: its quotes would be escaped.
  const at = Buffer.from(node.buffer, node.byteOffset, node.byteLength).lastIndexOf(
    `"subtree":"${toHex(from)}"`,
  );
  if (at < 0) {
    throw new HoldfastError('UNSUPPORTED', {
      message: 'a folder names its tree in an unusual way',
      details: { tree: toHex(from) },
    });
  }
  const changed = Uint8Array.from(node);
  changed.set(Buffer.from(toHex(to)), at + '"subtree":"'.length);
  return changed;
}

function damaged(tree: Uint8Array, what: string): HoldfastError {
  return new HoldfastError('TREE_DAMAGED', {
    message: `a tree is damaged: ${what}`,
    details: { tree: toHex(tree) },
  });
}
