import { isDamage } from '../trees/read-tree.ts';
import { OnceWalk } from '../trees/walk-once.ts';
import { toHex } from '../../base/bytes.ts';
import type { BlobType } from '../../repository/blob.ts';
import { idBytes } from '../../repository/id.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import { BlobMarks, contentIds } from '../trees/blob-marks.ts';
import type { EngineContext } from '../context.ts';

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
  context: EngineContext & { readonly isLost?: IsLost },
): Promise<WantedBlobs> {
  const { index } = indexed;
  const isMissing: IsLost = context.isLost ?? ((type, id) => index.find(type, id) < 0);
  const wanted = new WantedBlobs();
  const marks = new BlobMarks(index);
  const walk: OnceWalk = new OnceWalk(
    indexed,
    {
      isNew: (tree) => marks.add('tree', tree, usedMark) !== true && !wanted.has('tree', tree),
      nodes: (_, nodes) => {
        for (const node of nodes) {
          if (node.subtree) walk.enter(node.subtree);
          const missing = [...contentIds(node)].filter((id) => isMissing('data', id));
          for (const id of missing) wanted.add('data', id);
          if (missing.length > 0) wanted.fileSizes.add(node.sizeBytes);
        }
      },
      unreadable: (tree, error) => {
        if (!isDamage(error)) throw error;
        wanted.add('tree', tree);
      },
    },
    context,
  );
  for (const { tree } of snapshots) walk.enter(idBytes(tree));
  await walk.run();
  return wanted;
}
