import { HoldfastError } from '../../base/errors.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';

/**
 * Folders nested deeper than this are refused: no file system has them, but a hostile repository may.
 */
export const treeDepthMax = 20_000;
/** Longest path that is walked; what file systems take at once has 4 KiB. */
export const treePathSizeBytesMax: number = 1 << 20;

/** @throws TREE_DAMAGED for a folder that is too far down to be walked */
export function assertWalkable(path: Uint8Array, depth: number): void {
  if (depth < treeDepthMax && path.byteLength <= treePathSizeBytesMax) return;
  throw new HoldfastError('TREE_DAMAGED', {
    message: `folders are nested more than ${treeDepthMax} deep, or their path is longer than 1 MiB`,
  });
}

/** What a snapshot may hold however often it repeats itself. */
export interface TreeLimits {
  /** Directories that are not empty. Nodes have inode numbers, so that hardly any directory occurs twice. */
  readonly directories: number;
  readonly entries: number;
}

const limitsDefault: TreeLimits = { directories: 250_000, entries: 20_000_000 };
/** How often each directory may be repeated beyond that, on average. */
const repeatsMax = 100;

/**
 * Tells a snapshot that repeats directories from one that was made to be endless.
 *
 * Fifty trees that name the next one twice each have 2^50 paths: such a snapshot is refused when its
 * work is far beyond what it stores.
 * @see reliability notes, hazard D4
 */
export class TreeBudget {
  readonly #index: BlobIndex;
  readonly #limits: TreeLimits;
  readonly #seen: Uint8Array;
  #directories = 0;
  #entries = 0;
  #storedDirectories = 0;
  #storedEntries = 0;

  constructor(index: BlobIndex, limits: TreeLimits = limitsDefault) {
    this.#index = index;
    this.#limits = limits;
    this.#seen = new Uint8Array(Math.ceil(index.blobCount / 8));
  }

  /** Counts one more directory. @throws TREE_DAMAGED when the snapshot is beyond all reason */
  enter(tree: Uint8Array, entryCount: number): void {
    if (this.admits(tree, entryCount)) return;
    throw new HoldfastError('TREE_DAMAGED', {
      message: 'the snapshot repeats its folders without end; the rest is left out',
      hint: 'Restore the folders that you need one by one, as SNAPSHOT:folder.',
      details: this.counts,
    });
  }

  /** Counts one more directory; false when the snapshot is beyond all reason. */
  admits(tree: Uint8Array, entryCount: number): boolean {
    // All empty directories are one tree.
    if (entryCount === 0) return true;
    this.#directories++;
    this.#entries += entryCount;
    if (this.#isNew(tree)) {
      this.#storedDirectories++;
      this.#storedEntries += entryCount;
      return true;
    }
    const { directories, entries } = this.#limits;
    return (
      this.#directories <= directories + repeatsMax * this.#storedDirectories &&
      this.#entries <= entries + repeatsMax * this.#storedEntries
    );
  }

  /** What was counted, for people. */
  get counts(): { readonly folders: number; readonly differentFolders: number } {
    return { folders: this.#directories, differentFolders: this.#storedDirectories };
  }

  #isNew(tree: Uint8Array): boolean {
    const entry = this.#index.find('tree', tree);
    const byte = this.#seen[entry >> 3];
    if (entry < 0 || byte === undefined) return true;
    const bit = 1 << (entry & 7);
    this.#seen[entry >> 3] = byte | bit;
    return (byte & bit) === 0;
  }
}
