import { pathText } from '../trees/snapshot-path.ts';
import { idSizeBytes } from '../../repository/id.ts';
import { OnceWalk } from '../trees/walk-once.ts';
import { fromHex, toHex } from '../../base/bytes.ts';
import { describeError } from '../../base/errors.ts';
import type { BlobType } from '../../repository/blob.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import { restorableTypes, type TreeNode, type TreeNodes } from '../../repository/tree.ts';
import type { EngineContext } from '../context.ts';
import { BlobMarks } from '../trees/blob-marks.ts';
import type { BlobDamage } from '../trees/blob-damage.ts';
import type { Findings } from './findings.ts';
import type { PhaseMonitor } from '../../base/monitor.ts';

/** A blob that was seen in a snapshot. */
export const seenMark = 1;
/** Blobs that no index lists are told once each; beyond so many of them, each time. */
const missingKnownMax = 1_000_000;

/** Follows every snapshot through its trees to the blobs of its files, each tree once. */
export class StructureCheck {
  readonly #indexed: IndexedRepository;
  readonly #damage: BlobDamage;
  readonly #findings: Findings;
  readonly #context: EngineContext<PhaseMonitor>;
  readonly #walk: OnceWalk;
  /** Trees that no index lists, and data blobs, as `type:hex id`. */
  readonly #missing = new Set<string>();
  /** What the snapshots hold: all their trees, and with `marksData` the blobs of their files. */
  readonly marks: BlobMarks;
  readonly #marksData: boolean;

  constructor(
    indexed: IndexedRepository,
    found: {
      readonly damage: BlobDamage;
      readonly findings: Findings;
      readonly marksData: boolean;
    },
    context: EngineContext<PhaseMonitor>,
  ) {
    this.#indexed = indexed;
    this.#damage = found.damage;
    this.#findings = found.findings;
    this.#marksData = found.marksData;
    this.#context = context;
    const visitor = {
      isNew: (tree: Uint8Array) => this.#isNew('tree', tree),
      nodes: (tree: Uint8Array, nodes: TreeNodes) => this.#checkNodes(tree, nodes),
      unreadable: (tree: Uint8Array, error: unknown) => this.#tellUnreadable(tree, error),
    };
    this.#walk = new OnceWalk(indexed, visitor, context);
    this.marks = new BlobMarks(indexed.index);
  }

  async run(snapshots: readonly StoredSnapshot[]): Promise<void> {
    let done = 0;
    for (const snapshot of snapshots) {
      const root = fromHex(snapshot.tree);
      if (root) this.#walk.enter(root);
      await this.#walk.run();
      done++;
      this.#context.monitor.progress({
        filesDone: done,
        filesTotal: snapshots.length,
        bytesDone: 0,
        errorCount: this.#findings.errorCount,
        currentItems: [],
      });
    }
  }

  /** Whether a tree, or a blob that is missing, is met for the first time. */
  #isNew(type: BlobType, id: Uint8Array): boolean {
    const known = this.marks.add(type, id, seenMark);
    if (known !== undefined) return !known;
    const key = `${type}:${toHex(id)}`;
    if (this.#missing.has(key)) return false;
    if (this.#missing.size < missingKnownMax) this.#missing.add(key);
    return true;
  }

  #checkNodes(tree: Uint8Array, nodes: TreeNodes): void {
    for (const node of nodes) {
      const below = this.#checkNode(node, tree);
      if (below) this.#walk.enter(below);
    }
  }

  #tellUnreadable(tree: Uint8Array, error: unknown): void {
    this.#findings.error(`tree ${toHex(tree)}`, describeError(error), 'TREE_DAMAGED');
    this.#damage.addFaultyTree(tree);
  }

  /** Reports what is wrong with a node; returns the tree below it. */
  #checkNode(node: TreeNode, tree: Uint8Array): Uint8Array | undefined {
    const fault = nodeFault(node);
    if (fault !== undefined) {
      this.#damage.addFaultyTree(tree);
      const text = `node "${pathText(node.name)}" ${fault}`;
      this.#findings.error(`tree ${toHex(tree)}`, text, 'TREE_DAMAGED');
    }
    if (node.type === 'dir') return node.subtree;
    if (node.type !== 'file' || !node.content) return undefined;
    const { index } = this.#indexed;
    for (let offset = 0; offset < node.content.byteLength; offset += idSizeBytes) {
      const isListed = index.find('data', node.content, offset) >= 0;
      if (isListed && !this.#marksData) continue;
      const id = node.content.subarray(offset, offset + idSizeBytes);
      if (!this.#isNew('data', id) || isListed) continue;
      const text = `blob ${toHex(id)} of "${pathText(node.name)}" is not in the index`;
      this.#findings.error(`tree ${toHex(tree)}`, text, 'BLOB_NOT_FOUND');
      this.#findings.suggestRepairIndex = true;
      this.#damage.addMissing();
    }
    return undefined;
  }
}

function nodeFault(node: TreeNode): string | undefined {
  if (node.invalid !== undefined) return `is not valid: ${node.invalid}`;
  if (!restorableTypes.has(node.type)) return `has the invalid type "${node.type}"`;
  if (node.type === 'dir' && !node.subtree) return 'has no subtree';
  if (node.type === 'file' && !node.content) return 'has no content list';
  return undefined;
}
