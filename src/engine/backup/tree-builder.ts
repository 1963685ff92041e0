import { assert } from '../../base/assert.ts';
import { equalBytes, toHex } from '../../base/bytes.ts';
import { sha256 } from '../../kernels/sha256.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { localZone } from '../../repository/time-format.ts';
import { decodeTree, TreeEncoder, type TreeNode } from '../../repository/tree.ts';
import type { Change } from './counters.ts';
import type { BackupReport } from './report.ts';
import type { ClaimedBlob } from './messages.ts';
import { equalNodes } from '../trees/equal-nodes.ts';
import type { ParentTrees } from './parent-trees.ts';
import type { Pipeline } from './pipeline.ts';
import { PreviousNodes } from './previous-nodes.ts';
import type { FramePart, MatchedTree, TreeFrame, WideFrame } from './tree-frame.ts';
import type { StoredTree } from './tree-stream.ts';
import { type PreviousTree, WideTree } from './wide-tree.ts';

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
      if (frame.wide && !frame.wide.stored) return this.#endWide(frame, frame.wide);
      if (frame.part) this.#finishPart(frame, frame.part);
      else {
        const node = this.#complete(frame);
        if (frame.parent) frame.parent.nodes[frame.slot] = node;
      }
      if (this.#batchBytes >= treeBatchBytes) this.flush();
      frame = frame.parent;
    }
  }

  /** Makes the tree of `frame` one that comes in parts. @param previous the tree that it is compared with */
  widen(frame: TreeFrame, previous: PreviousTree | undefined): WideFrame {
    const tree = new WideTree(
      {
        pipeline: this.#pipeline,
        claim: (id) => this.#claim(id),
        store: (blob) => this.#store(blob),
        added: (added) => this.#report.counters.add('tree', added),
      },
      previous,
    );
    const nodes = previous && this.#parents && new PreviousNodes(this.#parents, previous);
    const wide: WideFrame = { tree, previous: nodes, endsAlike: false, stored: undefined };
    frame.wide = wide;
    return wide;
  }

  /** Hands a part over that is done with all that is below it. */
  #finishPart(frame: TreeFrame, part: FramePart): void {
    const { range, wide } = part;
    const { matched, nodes } = frame;
    if (!range || !matched) {
      wide.tree.finishPart(part.number, { type: 'nodes', bytes: this.#encodePart(nodes) });
    } else if (isAsMatched(frame, matched)) {
      wide.tree.finishPart(part.number, { type: 'same', range });
    } else {
      const slots = [...matched.subtrees.keys()];
      const directories = new Map(slots.map((slot) => [slot, nodes[slot]]));
      wide.tree.finishPart(part.number, { type: 'patched', range, directories });
    }
    frame.nodes = [];
    frame.matched = undefined;
  }

  #encodePart(nodes: Iterable<TreeNode | undefined>): Uint8Array {
    for (const node of nodes) if (node) this.#encoder.add(node);
    return this.#encoder.nodeCount > 0 ? this.#encoder.finishPart() : new Uint8Array(0);
  }

  /** Has the rest of the tree written; `frame` is complete then. */
  #endWide(frame: TreeFrame, wide: WideFrame): void {
    frame.pending = 1;
    wide.tree.end(wide.endsAlike, (stored) => {
      wide.stored = stored;
      this.release(frame);
    });
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
    const stored =
      frame.wide?.stored ??
      (isUnchanged && frame.previousTree
        ? { id: frame.previousTree, addedBytes: 0 }
        : this.#encode(nodesOf(frame)));
    const { id } = stored;
    frame.nodes = [];
    frame.matched = undefined;
    frame.wide = undefined;
    const { node, previousNode } = frame;
    if (!node) {
      this.#root = id;
      return undefined;
    }
    node.subtree = id;
    const isDirectory = previousNode?.type === 'dir';
    const change = !isDirectory ? 'new' : equalNodes(node, previousNode) ? 'unmodified' : 'changed';
    this.#report.directory(change);
    if (this.#report.wantsItems) this.#addItem(frame, change, stored);
    return node;
  }

  /** The item of a directory waits for its tree, so that it can tell how much that takes. */
  #addItem(frame: TreeFrame, change: Change, { id, addedBytes, storedBytes }: StoredTree): void {
    const metadataSizeBytes = addedBytes;
    const isWaiting = addedBytes > 0 && storedBytes === undefined;
    const tree = isWaiting ? this.#batch.findLastIndex((each) => equalBytes(each.id, id)) : -1;
    if (tree >= 0) this.#items.push({ frame, change, metadataSizeBytes, tree });
    else {
      const metadataStoredBytes = storedBytes ?? 0;
      this.#report.directoryItem(frame, change, { metadataSizeBytes, metadataStoredBytes });
    }
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
  #encode(nodes: Iterable<TreeNode | undefined>): StoredTree {
    for (const node of nodes) if (node) this.#encoder.add(node);
    const bytes = this.#encoder.finish();
    const id = sha256(bytes);
    const entry = this.#claim(id);
    if (entry < 0) return { id, addedBytes: 0 };
    this.#store({ id, entry, bytes });
    return { id, addedBytes: bytes.byteLength };
  }

  #store(tree: ClaimedBlob): void {
    this.#batch.push(tree);
    this.#batchBytes += tree.bytes.byteLength;
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
