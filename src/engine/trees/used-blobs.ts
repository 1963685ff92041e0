import { OnceWalk } from './walk-once.ts';
import { fromHex, toHex } from '../../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { Monitor } from '../../base/monitor.ts';
import type { BlobType } from '../../repository/blob.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { TreeNodes } from '../../repository/tree.ts';
import { BlobMarks, contentIds, strayBlobs } from './blob-marks.ts';
import type { EngineContext } from '../context.ts';

/** A blob that a snapshot needs. */
export const usedMark = 1;

/** Hears how many trees were read, and of problems. */
export interface UsedBlobsMonitor extends Monitor {
  /** Trees that were read; how many there are shows at the end. */
  treesRead?(count: number): void;
}

/** Surroundings of the search, and what it goes on from. */
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

/** Marks what trees refer to; by whom is told of what is missing. */
class Collector {
  readonly #indexed: IndexedRepository;
  readonly #marks: BlobMarks;
  readonly #walk: OnceWalk;

  constructor(
    indexed: IndexedRepository,
    marks: BlobMarks,
    context: EngineContext<UsedBlobsMonitor>,
  ) {
    this.#indexed = indexed;
    this.#marks = marks;
    const visitor = {
      isNew: (tree: Uint8Array) => marks.add('tree', tree, usedMark) === false,
      nodes: (tree: Uint8Array, nodes: TreeNodes) => this.#useNodes(tree, nodes),
      unreadable,
      treesRead: (count: number) => context.monitor.treesRead?.(count),
    };
    this.#walk = new OnceWalk(indexed, visitor, context);
  }

  run(): Promise<void> {
    return this.#walk.run();
  }

  /** Marks a blob, and has it read if it is a tree that was not seen before. @throws BLOB_NOT_FOUND */
  use(type: BlobType, id: Uint8Array, by: string): void {
    const entry = this.#indexed.index.find(type, id);
    if (entry < 0) throw missing(type, id, by);
    if (type === 'tree') this.#walk.enter(id);
    else this.#marks.addTo(entry, usedMark);
  }

  /** Whatever a node is said to be: what it refers to is needed. */
  #useNodes(tree: Uint8Array, nodes: TreeNodes): void {
    const by = `tree ${toHex(tree)}`;
    for (const node of nodes) {
      if (node.subtree) this.use('tree', node.subtree, by);
      else if (node.type === 'dir') throw damaged(`a folder of ${by} has no tree`, {});
      for (const id of contentIds(node)) this.use('data', id, by);
      // What nobody can restore holds nothing up if it is not there.
      for (const { type, id } of strayBlobs(node)) {
        if (this.#indexed.index.find(type, id) >= 0) this.use(type, id, by);
      }
    }
  }
}

function unreadable(tree: Uint8Array, error: unknown): never {
  if (!isHoldfastError(error, 'TREE_DAMAGED')) throw error;
  const details = { ...error.details, tree: toHex(tree) };
  throw new HoldfastError('TREE_DAMAGED', { message: error.message, details, cause: error });
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
