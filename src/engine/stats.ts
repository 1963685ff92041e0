import { sealOverheadBytes } from '../kernels/seal.ts';
import { idSizeBytes } from '../repository/id.ts';
import { OnceWalk } from './trees/walk-once.ts';
import { toHex } from '../base/bytes.ts';
import { unreachable } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import { sha256 } from '../kernels/sha256.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { TreeNode } from '../repository/tree.ts';
import { BlobMarks, contentIds } from './trees/blob-marks.ts';
import type { EngineContext } from './context.ts';
import { type TreeVisitor, walkTree } from './trees/walk-paths.ts';

/** What is counted; see `holdfast help stats`. */
export type StatsMode = 'restore-size' | 'files-by-contents' | 'blobs-per-file' | 'raw-data';

/** Counts over several snapshots. Sizes in bytes; absent where a mode does not count it. */
export interface RepositoryStats {
  readonly totalSize: number;
  readonly totalFileCount: number;
  readonly totalBlobCount: number;
  readonly totalUncompressedSize: number;
  /** Uncompressed by compressed size of the blobs that are compressed; 0 if none is. */
  readonly compressionRatio: number;
  /** Share of the data that is stored compressed, in percent. */
  readonly compressionProgress: number;
  /** What compression saves of all, in percent. */
  readonly compressionSpaceSaving: number;
}

/** Counts snapshots, one after the other. */
export interface StatsCounter {
  add(root: Uint8Array, context: EngineContext): Promise<void>;
  result(): RepositoryStats;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The counter of a mode. */
export function createStatsCounter(indexed: IndexedRepository, mode: StatsMode): StatsCounter {
  switch (mode) {
    case 'restore-size':
      return new RestoreSizeCounter(indexed);
    case 'raw-data':
      return new RawDataCounter(indexed);
    case 'files-by-contents':
    case 'blobs-per-file':
      return new ContentCounter(indexed, mode);
    default:
      return unreachable(mode);
  }
}

function emptyStats(): Mutable<RepositoryStats> {
  return {
    totalSize: 0,
    totalFileCount: 0,
    totalBlobCount: 0,
    totalUncompressedSize: 0,
    compressionRatio: 0,
    compressionProgress: 0,
    compressionSpaceSaving: 0,
  };
}

interface TreeTotal {
  readonly size: number;
  readonly count: number;
}

/** Adds up what a restore of each snapshot writes. Folders that hold no hard links are counted once and remembered. */
class RestoreSizeCounter implements StatsCounter {
  readonly #indexed: IndexedRepository;
  readonly #totals = new Map<string, TreeTotal>();
  #size = 0;
  #count = 0;

  constructor(indexed: IndexedRepository) {
    this.#indexed = indexed;
  }

  async add(root: Uint8Array, context: EngineContext): Promise<void> {
    const links = new Set<string>();
    let linkCount = 0;
    const open: { id: string; size: number; count: number; linkCount: number }[] = [];
    const visitor: TreeVisitor = {
      enter: (_, tree) => {
        const id = toHex(tree);
        const known = this.#totals.get(id);
        this.#size += known?.size ?? 0;
        this.#count += known?.count ?? 0;
        if (!known) open.push({ id, size: this.#size, count: this.#count, linkCount });
        return !known;
      },
      node: ({ node }) => {
        this.#count++;
        if (node.links > 1 && node.type !== 'dir') {
          linkCount++;
          const key = `${node.deviceId} ${node.inode}`;
          if (links.has(key)) return;
          links.add(key);
        }
        this.#size += node.sizeBytes;
      },
      leave: (_, isRead) => {
        const folder = open.pop();
        // What could not be read must be tried, and told, again.
        if (!isRead) linkCount++;
        if (folder?.linkCount !== linkCount) return;
        const total = { size: this.#size - folder.size, count: this.#count - folder.count };
        this.#totals.set(folder.id, total);
      },
    };
    await walkTree(this.#indexed, root, visitor, context);
  }

  result(): RepositoryStats {
    return { ...emptyStats(), totalSize: this.#size, totalFileCount: this.#count };
  }
}

/** Counts files that differ in content; with `blobs-per-file` their blobs, once a path. */
class ContentCounter implements StatsCounter {
  readonly #indexed: IndexedRepository;
  readonly #isPerBlob: boolean;
  readonly #contents = new Set<string>();
  readonly #visited = new Set<string>();
  readonly #paths = new Map<string, Set<string>>();
  readonly #stats = emptyStats();

  constructor(indexed: IndexedRepository, mode: 'files-by-contents' | 'blobs-per-file') {
    this.#indexed = indexed;
    this.#isPerBlob = mode === 'blobs-per-file';
  }

  async add(root: Uint8Array, context: EngineContext): Promise<void> {
    const visitor: TreeVisitor = {
      enter: (path, tree) => {
        const key = this.#isPerBlob ? `${latin1(path)}\0${latin1(tree)}` : latin1(tree);
        if (this.#visited.has(key)) return false;
        this.#visited.add(key);
        return true;
      },
      node: ({ path, node }) => {
        // As restic: links, pipes and devices count as files without content.
        if (node.type !== 'dir') this.#file(path, node, node.content ?? new Uint8Array(0));
      },
    };
    await walkTree(this.#indexed, root, visitor, context);
  }

  #file(path: Uint8Array, node: TreeNode, content: Uint8Array): void {
    const key = latin1(content.byteLength > idSizeBytes ? sha256(content) : content);
    if (this.#contents.has(key)) return;
    this.#contents.add(key);
    if (!this.#isPerBlob) {
      this.#stats.totalFileCount++;
      this.#stats.totalSize += node.sizeBytes;
    } else if (content.byteLength > 0) this.#blobs(latin1(path), content);
  }

  #blobs(path: string, content: Uint8Array): void {
    const { index } = this.#indexed;
    let seen = this.#paths.get(path);
    if (!seen) {
      seen = new Set();
      this.#paths.set(path, seen);
      this.#stats.totalFileCount++;
    }
    for (const id of contentIds({ content })) {
      if (seen.has(latin1(id))) continue;
      seen.add(latin1(id));
      const entry = index.find('data', id);
      if (entry < 0) throw missingBlob('data', id);
      this.#stats.totalSize += index.plainSizeOf(entry);
      this.#stats.totalBlobCount++;
    }
  }

  result(): RepositoryStats {
    return this.#stats;
  }
}

/** Counts the blobs that snapshots use, as they are stored. */
class RawDataCounter implements StatsCounter {
  readonly #indexed: IndexedRepository;
  readonly #marks: BlobMarks;

  constructor(indexed: IndexedRepository) {
    this.#indexed = indexed;
    this.#marks = new BlobMarks(indexed.index);
  }

  async add(root: Uint8Array, context: EngineContext): Promise<void> {
    const tell = (tree: Uint8Array, error: unknown): void =>
      context.monitor.problem({ item: `tree ${toHex(tree)}`, during: 'scan', error });
    const walk: OnceWalk = new OnceWalk(
      this.#indexed,
      {
        isNew: (tree) => this.#marks.add('tree', tree, 1) !== true,
        nodes: (tree, nodes) => {
          for (const node of nodes) {
            if (node.invalid === undefined) this.#count(node, walk);
            else tell(tree, new HoldfastError('TREE_DAMAGED', { message: node.invalid }));
          }
        },
        unreadable: tell,
      },
      context,
    );
    walk.enter(root);
    await walk.run();
  }

  #count(node: TreeNode, walk: OnceWalk): void {
    for (const id of contentIds(node)) {
      if (this.#marks.add('data', id, 1) === undefined) throw missingBlob('data', id);
    }
    if (node.type === 'dir' && node.subtree) walk.enter(node.subtree);
  }

  result(): RepositoryStats {
    const { index, repository } = this.#indexed;
    const stats = emptyStats();
    let compressedSize = 0;
    let compressedPlainSize = 0;
    for (const { entry } of this.#marks.marked()) {
      const storedSize = index.lengthOf(entry);
      const plainSize = index.plainSizeOf(entry) + sealOverheadBytes;
      stats.totalBlobCount++;
      stats.totalSize += storedSize;
      stats.totalUncompressedSize += plainSize;
      if (index.uncompressedLengthOf(entry) === 0) continue;
      compressedSize += storedSize;
      compressedPlainSize += plainSize;
    }
    if (repository.config.version < 2) return { ...stats, totalUncompressedSize: 0 };
    const { totalSize, totalUncompressedSize } = stats;
    if (compressedSize > 0) stats.compressionRatio = compressedPlainSize / compressedSize;
    if (totalUncompressedSize > 0) {
      stats.compressionProgress = (compressedPlainSize / totalUncompressedSize) * 100;
      stats.compressionSpaceSaving = (1 - totalSize / totalUncompressedSize) * 100;
    }
    return stats;
  }
}

function missingBlob(type: 'data' | 'tree', id: Uint8Array): HoldfastError {
  return new HoldfastError('BLOB_NOT_FOUND', { details: { type, blob: toHex(id) } });
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
