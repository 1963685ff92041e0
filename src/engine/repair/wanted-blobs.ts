import { throwIfAborted } from '../../base/abort.ts';
import { toHex } from '../../base/bytes.ts';
import { isHoldfastError } from '../../base/errors.ts';
import type { BlobType } from '../../repository/blob.ts';
import { idBytes } from '../../repository/id.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { TreeNodes } from '../../repository/tree.ts';
import { BlobMarks, contentIds } from '../blob-marks.ts';
import type { EngineContext } from '../context.ts';
import { TreeReader } from '../tree-reader.ts';

/** A blob by what identifies it. */
export interface WantedBlob {
  readonly type: BlobType;
  readonly id: Uint8Array;
}

/** Blobs that snapshots need and that the repository cannot give. */
export class WantedBlobs {
  readonly #blobs = new Map<string, WantedBlob>();
  /** Sizes of the files that lack content, for who looks for them in a folder. */
  readonly fileSizes: Set<number> = new Set();

  get size(): number {
    return this.#blobs.size;
  }

  add(type: BlobType, id: Uint8Array): void {
    this.#blobs.set(keyOf(type, id), { type, id: Uint8Array.from(id) });
  }

  has(type: BlobType, id: Uint8Array): boolean {
    return this.#blobs.has(keyOf(type, id));
  }

  delete(type: BlobType, id: Uint8Array): void {
    this.#blobs.delete(keyOf(type, id));
  }

  [Symbol.iterator](): Iterator<WantedBlob> {
    return this.#blobs.values();
  }
}

function keyOf(type: BlobType, id: Uint8Array): string {
  return `${type}:${toHex(id)}`;
}

/** Whether a blob is to be taken for lost. */
export type IsLost = (type: BlobType, id: Uint8Array) => boolean;

const usedMark = 1;

/**
 * What of the snapshots is missing: trees that cannot be read, and data blobs that no index lists. What is below a
 * missing tree is not known. Every tree is read once.
 * @param context.isLost which blobs are missing; default: those that no index lists
 * @throws what ends the use of the storage; a tree that the storage fails to read is not missing
 */
export async function findWanted(
  indexed: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  { signal, isLost }: EngineContext & { readonly isLost?: IsLost },
): Promise<WantedBlobs> {
  const { index } = indexed;
  const isMissing: IsLost = isLost ?? ((type, id) => index.find(type, id) < 0);
  const wanted = new WantedBlobs();
  const reader = new TreeReader(indexed, { signal });
  const marks = new BlobMarks(index);
  const pending: Uint8Array[] = snapshots.map(({ tree }) => idBytes(tree));
  for (let tree = pending.pop(); tree; tree = pending.pop()) {
    throwIfAborted(signal);
    if (marks.add('tree', tree, usedMark) === true || wanted.has('tree', tree)) continue;
    const nodes = await loadOrLost(reader, tree);
    if (!nodes) {
      wanted.add('tree', tree);
      continue;
    }
    for (const node of nodes) {
      if (node.subtree) pending.push(node.subtree);
      let isWhole = true;
      for (const id of contentIds(node)) {
        if (!isMissing('data', id)) continue;
        wanted.add('data', id);
        isWhole = false;
      }
      if (!isWhole) wanted.fileSizes.add(node.sizeBytes);
    }
  }
  return wanted;
}

/** The nodes of a tree, or undefined if it is lost or damaged. @throws what says nothing of the tree itself */
export async function loadOrLost(
  reader: TreeReader,
  tree: Uint8Array,
): Promise<TreeNodes | undefined> {
  try {
    return await reader.load(tree);
  } catch (error) {
    if (isHoldfastError(error, 'BLOB_NOT_FOUND', 'BLOB_DAMAGED', 'TREE_DAMAGED')) return undefined;
    throw error;
  }
}
