import { assert } from '../../base/assert.ts';
import { equalBytes, toHex } from '../../base/bytes.ts';
import { sha256 } from '../../kernels/sha256.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { localZone } from '../../repository/time-format.ts';
import { decodeTree, TreeEncoder, type TreeNode } from '../../repository/tree.ts';
import type { Change } from './counters.ts';
import type { BackupReport } from './report.ts';
import type { ClaimedBlob } from './messages.ts';
import { equalNodes } from './node.ts';
import type { ParentTrees } from './parent-trees.ts';
import type { Pipeline } from './pipeline.ts';
import type { MatchedTree, TreeFrame } from './tree-frame.ts';

/** Encoded bytes collected before trees are sent to a worker. */
const treeBatchBytes = 2 << 20;

/** A directory that is told about once its tree is stored. */
interface DirectoryItem {
  readonly frame: TreeFrame;
  readonly change: Change;
  readonly metadataSizeBytes: number;
  /** Where its tree stands in the batch. */
  readonly tree: number;
}

/** Turns finished directories into tree blobs, bottom up. */
export class TreeBuilder {
  readonly #indexed: IndexedRepository;
  readonly #pipeline: Pipeline;
  readonly #report: BackupReport;
  readonly #encoder = new TreeEncoder(localZone);
  #batch: ClaimedBlob[] = [];
  #batchBytes = 0;
  /** Directories whose trees are in the batch. */
  #items: DirectoryItem[] = [];
  #root: Uint8Array | undefined;
  readonly #parents: ParentTrees | undefined;
  /** Hex ids of trees that were stored again, because the parent's trees are damaged. */
  readonly #storedAgain = new Set<string>();

  constructor(parts: {
    readonly indexed: IndexedRepository;
    readonly pipeline: Pipeline;
    readonly report: BackupReport;
    readonly parents?: ParentTrees;
  }) {
    this.#indexed = parts.indexed;
    this.#pipeline = parts.pipeline;
    this.#report = parts.report;
    this.#parents = parts.parents;
  }

  /** Id of the root tree, once everything is settled. */
  get root(): Uint8Array | undefined {
    return this.#root;
  }

  /** One child of `frame` is done: with its node, or left out. Completes directories that wait for it. */
  settle(frame: TreeFrame, slot: number, node: TreeNode | undefined): void {
    frame.nodes[slot] = node;
    this.release(frame);
  }

  /** One thing less that `frame` waits for. */
  release(start: TreeFrame): void {
    // A loop, not a recursion: directories may be thousands deep.
    let frame: TreeFrame | undefined = start;
    while (frame) {
      assert(frame.pending > 0, 'a directory is settled once');
      if (--frame.pending > 0) return;
      const node = this.#complete(frame);
      if (this.#batchBytes >= treeBatchBytes) this.flush();
      if (frame.parent) frame.parent.nodes[frame.slot] = node;
      frame = frame.parent;
    }
  }

  /** Sends the trees that wait to a worker. */
  flush(): void {
    if (this.#batch.length === 0) return;
    const trees = this.#batch;
    const items = this.#items;
    this.#batch = [];
    this.#items = [];
    this.#batchBytes = 0;
    const transfer = trees.map((tree) => tree.bytes.buffer);
    this.#pipeline.spawn(async () => {
      const response = await this.#pipeline.send({ type: 'trees', trees }, { transfer });
      this.#report.counters.add('tree', response.added);
      for (const { frame, change, tree, metadataSizeBytes } of items) {
        const metadataStoredBytes = response.storedBytes[tree] ?? 0;
        this.#report.directoryItem(frame, change, { metadataSizeBytes, metadataStoredBytes });
      }
    });
  }

  #complete(frame: TreeFrame): TreeNode | undefined {
    const isUnchanged = frame.matched !== undefined && isAsMatched(frame, frame.matched);
    const { id, addedBytes } =
      isUnchanged && frame.previousTree
        ? { id: frame.previousTree, addedBytes: 0 }
        : this.#encode(nodesOf(frame));
    frame.nodes = [];
    frame.matched = undefined;
    const { node, previousNode } = frame;
    if (!node) {
      this.#root = id;
      return undefined;
    }
    node.subtree = id;
    const isDirectory = previousNode?.type === 'dir';
    const change = !isDirectory ? 'new' : equalNodes(node, previousNode) ? 'unmodified' : 'changed';
    this.#report.directory(change);
    if (this.#report.wantsItems) this.#addItem(frame, change, addedBytes);
    return node;
  }

  /** The item of a directory waits for its tree, so that it can tell how much that takes. */
  #addItem(frame: TreeFrame, change: Change, metadataSizeBytes: number): void {
    if (metadataSizeBytes > 0) {
      this.#items.push({ frame, change, metadataSizeBytes, tree: this.#batch.length - 1 });
    } else this.#report.directoryItem(frame, change, { metadataSizeBytes, metadataStoredBytes: 0 });
  }

  /** The entry to store a tree under, or -1 if it is known. */
  #claim(id: Uint8Array): number {
    const { index } = this.#indexed;
    const entry = index.claim('tree', id);
    const key = this.#parents?.isDamaged ? toHex(id) : undefined;
    if (key === undefined || this.#storedAgain.has(key)) return entry;
    this.#storedAgain.add(key);
    return entry >= 0 ? entry : index.claimCopy('tree', id);
  }

  /** Stores the tree of `nodes` unless it is known. */
  #encode(nodes: Iterable<TreeNode | undefined>): { id: Uint8Array; addedBytes: number } {
    for (const node of nodes) if (node) this.#encoder.add(node);
    const bytes = this.#encoder.finish();
    const id = sha256(bytes);
    const entry = this.#claim(id);
    if (entry < 0) return { id, addedBytes: 0 };
    const addedBytes = bytes.byteLength;
    this.#batch.push({ id, entry, bytes });
    this.#batchBytes += addedBytes;
    return { id, addedBytes };
  }
}

/** True if everything below a matched directory turned out to be as it was. */
function isAsMatched(frame: TreeFrame, { subtrees }: MatchedTree): boolean {
  for (const [slot, stored] of subtrees) {
    const now = frame.nodes[slot]?.subtree;
    if (!now || !equalBytes(now, stored)) return false;
  }
  return true;
}

/** All nodes of a directory, in order; undefined for those that are left out. */
function nodesOf(frame: TreeFrame): readonly (TreeNode | undefined)[] {
  const { matched, nodes } = frame;
  if (!matched) return nodes;
  return decodeTree(matched.bytes).map((node, slot) =>
    matched.subtrees.has(slot) ? nodes[slot] : node,
  );
}
