import { throwIfAborted } from '../base/abort.ts';
import { fromHex, toHex } from '../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Monitor } from '../base/monitor.ts';
import type { BlobType } from '../repository/blob.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import type { TreeNode, TreeNodes } from '../repository/tree.ts';
import { BlobMarks, contentIds, strayBlobs } from './blob-marks.ts';
import type { EngineContext } from './context.ts';
import { TreeReader } from './tree-reader.ts';

/** A blob that a snapshot needs. */
export const usedMark = 1;

/** How long this thread works before others have their turn. */
const turnMs = 15;

export interface UsedBlobsMonitor extends Monitor {
  /** Trees that were read; how many there are shows at the end. */
  treesRead?(count: number): void;
}

export interface UsedBlobsContext extends EngineContext<UsedBlobsMonitor> {
  /** What was found before, to be added to: what other snapshots use is not read again. */
  readonly marks?: BlobMarks;
}

/**
 * Finds all that snapshots need: every tree that can be reached from them, and the content of their files. Each tree is
 * read once, and trees of one pack together.
 *
 * What it gives decides what is deleted, so nothing is passed over: the first thing that cannot be read ends it.
 * @returns the blobs, marked with `usedMark` at their first entry; a byte a blob of the index
 * @throws TREE_DAMAGED, BLOB_DAMAGED for a tree that cannot be read from any pack; BLOB_NOT_FOUND for a blob that no
 *   index file lists; CANCELLED and what the backend throws
 */
export async function collectUsedBlobs(
  indexed: IndexedRepository,
  snapshots: Iterable<Pick<StoredSnapshot, 'id' | 'tree'>>,
  context: UsedBlobsContext,
): Promise<BlobMarks> {
  const { marks = new BlobMarks(indexed.index) } = context;
  const collector = new Collector(indexed, marks, context);
  for (const { id, tree } of snapshots) {
    const root = fromHex(tree);
    if (!root) throw damaged(`snapshot ${id} has no valid tree`, { snapshot: id });
    collector.use('tree', root, `snapshot ${id}`);
  }
  await collector.run();
  return marks;
}

class Collector {
  readonly #indexed: IndexedRepository;
  readonly #context: EngineContext<UsedBlobsMonitor>;
  readonly #reader: TreeReader;
  /** Trees to read, by the number of their pack: first entries. */
  readonly #pending = new Map<number, number[]>();
  readonly #marks: BlobMarks;
  #treeCount = 0;

  constructor(
    indexed: IndexedRepository,
    marks: BlobMarks,
    context: EngineContext<UsedBlobsMonitor>,
  ) {
    this.#indexed = indexed;
    this.#context = context;
    this.#reader = new TreeReader(indexed, { signal: context.signal });
    this.#marks = marks;
  }

  /** Marks a blob, and has it read if it is a tree that was not seen before. @throws BLOB_NOT_FOUND */
  use(type: BlobType, id: Uint8Array, by: string): void {
    const { index } = this.#indexed;
    const entry = index.find(type, id);
    if (entry < 0) throw missing(type, id, by);
    if (this.#marks.addTo(entry, usedMark) || type === 'data') return;
    const pack = index.packOf(entry);
    const trees = this.#pending.get(pack);
    if (trees) trees.push(entry);
    else this.#pending.set(pack, [entry]);
  }

  async run(): Promise<void> {
    const { clock } = this.#context.environment;
    let turnStart = clock.monotonicMs();
    for (const [pack, trees] of this.#pending) {
      // Those found meanwhile in the same pack are read now, too; the pack comes again for any that follow.
      for (let tree = trees.pop(); tree !== undefined; tree = trees.pop()) {
        throwIfAborted(this.#context.signal);
        await this.#read(tree);
        if (clock.monotonicMs() - turnStart < turnMs) continue;
        this.#context.monitor.treesRead?.(this.#treeCount);
        await clock.nextTurn();
        turnStart = clock.monotonicMs();
      }
      this.#pending.delete(pack);
    }
    this.#context.monitor.treesRead?.(this.#treeCount);
  }

  async #read(entry: number): Promise<void> {
    const id = this.#indexed.index.idOf(entry);
    const nodes = await this.#load(id);
    this.#treeCount++;
    const by = `tree ${toHex(id)}`;
    for (const node of nodes) this.#useNode(node, by);
  }

  async #load(id: Uint8Array): Promise<TreeNodes> {
    try {
      return await this.#reader.load(id);
    } catch (error) {
      if (!isHoldfastError(error, 'TREE_DAMAGED')) throw error;
      const details = { ...error.details, tree: toHex(id) };
      throw new HoldfastError('TREE_DAMAGED', { message: error.message, details, cause: error });
    }
  }

  /** Whatever the node is said to be: what it refers to is needed. */
  #useNode(node: TreeNode, by: string): void {
    if (node.subtree) this.use('tree', node.subtree, by);
    else if (node.type === 'dir') throw damaged(`a folder of ${by} has no tree`, {});
    for (const id of contentIds(node)) this.use('data', id, by);
    // What nobody can restore holds nothing up if it is not there.
    for (const { type, id } of strayBlobs(node)) {
      if (this.#indexed.index.find(type, id) >= 0) this.use(type, id, by);
    }
  }
}

function damaged(message: string, details: Record<string, string>): HoldfastError {
  return new HoldfastError('TREE_DAMAGED', { message, details, hint: repairHint });
}

function missing(type: BlobType, id: Uint8Array, by: string): HoldfastError {
  return new HoldfastError('BLOB_NOT_FOUND', {
    message: `a ${type} blob that ${by} needs is in no index file`,
    details: { type, blob: toHex(id) },
    hint: repairHint,
  });
}

const repairHint =
  'The repository is damaged: run "holdfast check", then "holdfast repair index" or "repair snapshots".';
