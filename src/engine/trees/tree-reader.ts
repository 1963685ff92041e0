import { endsWork } from '../../base/errors.ts';
import { toHex } from '../../base/bytes.ts';
import { releaseBuffer } from '../../base/release.ts';
import { Decompressor } from '../../kernels/zstd.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { openTree } from '../../repository/blob-open.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { nodesOf, type TreeBytes, type TreeNodes } from '../../repository/tree.ts';
import type { CallOptions } from '../../storage/backend.ts';

/** Sealed packs kept at once: a walk in tree order leaves one pack for the next and rarely comes back. */
const packsKeptMax = 4;
/** A larger sealed tree is read alone, and not kept. */
const blobInPackSizeBytesMax = 16 << 20;
/** Larger packs are read tree by tree: the largest usual ones have 128 MiB and a blob more. */
const wholeReadSizeBytesMax = 160 << 20;

/**
 * Reads trees for walks through whole snapshots.
 *
 * Whole tree packs are read at once: a walk needs nearly all of their trees, in nearly their order.
 */
export class TreeReader {
  readonly #indexed: IndexedRepository;
  readonly #options: CallOptions;
  readonly #packs = new Map<number, Uint8Array<ArrayBuffer>>();
  /** Packs that could not be read at once. */
  readonly #unreadable = new Set<number>();
  readonly #decompressor = new Decompressor();

  constructor(indexed: IndexedRepository, options: CallOptions) {
    this.#indexed = indexed;
    this.#options = options;
  }

  /**
   * The nodes of a tree, from any readable copy.
   * @throws BLOB_NOT_FOUND, BLOB_DAMAGED, TREE_DAMAGED, and what the backend throws
   */
  async load(id: Uint8Array): Promise<TreeNodes> {
    return nodesOf(await this.open(id));
  }

  /** The encoded tree, as `load`. @throws BLOB_NOT_FOUND, BLOB_DAMAGED, and what the backend throws */
  async open(id: Uint8Array): Promise<TreeBytes> {
    const { index } = this.#indexed;
    const entry = index.find('tree', id);
    if (entry >= 0 && !index.isPending(entry) && index.lengthOf(entry) <= blobInPackSizeBytesMax) {
      try {
        const tree = await this.#openFromPack(id, entry);
        if (tree) return tree;
      } catch (error) {
        // The ordinary way tries every copy, and has the words for what is wrong.
        if (endsWork(error)) throw error;
      }
    }
    return this.#indexed.openTree(id, this.#options);
  }

  async #openFromPack(id: Uint8Array, entry: number): Promise<TreeBytes | undefined> {
    const { index, repository } = this.#indexed;
    const pack = await this.#pack(entry);
    const offset = index.offsetOf(entry);
    const end = offset + index.lengthOf(entry);
    if (!pack || end > pack.byteLength) return undefined;
    const uncompressedLength = index.uncompressedLengthOf(entry);
    const blob = { type: 'tree', id, uncompressedLength } as const;
    const tools = { sealer: repository.sealer, decompressor: this.#decompressor };
    return openTree(pack.subarray(offset, end), blob, tools);
  }

  /** All trees of the pack that holds `entry`, sealed; undefined if it is not to be read at once. */
  async #pack(entry: number): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const { index, repository } = this.#indexed;
    const pack = index.packOf(entry);
    const kept = this.#packs.get(pack);
    if (kept || this.#unreadable.has(pack)) return kept;
    const end = endOfTrees(index, entry);
    if (end > wholeReadSizeBytesMax) return undefined;
    const handle = { type: 'pack', name: toHex(index.packId(pack)), holdsTrees: true } as const;
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = await repository.backend.get(handle, { start: 0, end }, this.#options);
    } catch (error) {
      this.#unreadable.add(pack);
      throw error;
    }
    const [oldest] = this.#packs;
    if (this.#packs.size >= packsKeptMax && oldest) this.#drop(...oldest);
    this.#packs.set(pack, bytes);
    return bytes;
  }

  /** Gives the memory of the packs back; those that are needed again are read again. */
  release(): void {
    for (const [pack, bytes] of this.#packs) this.#drop(pack, bytes);
  }

  /** Whoever waits for the pack finds it empty, and reads the tree alone. */
  #drop(pack: number, bytes: Uint8Array<ArrayBuffer>): void {
    this.#packs.delete(pack);
    releaseBuffer(bytes.buffer);
  }
}

/**
 * Where the last tree of a pack ends: no more of the file is read, however large it is. The entries of a
 * pack follow one another, as they stand in their index file.
 * @param entry any of the pack
 */
function endOfTrees(index: BlobIndex, entry: number): number {
  const pack = index.packOf(entry);
  const isOfPack = (at: number): boolean => !index.isPending(at) && index.packOf(at) === pack;
  let end = 0;
  for (const step of [-1, 1]) {
    for (let at = entry; at >= 0 && at < index.blobCount && isOfPack(at); at += step) {
      end = Math.max(end, index.offsetOf(at) + index.lengthOf(at));
    }
  }
  return end;
}
