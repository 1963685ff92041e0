import { toHex } from '../base/bytes.ts';
import { isHoldfastError } from '../base/errors.ts';
import { Decompressor } from '../kernels/zstd.ts';
import { openBlob } from '../repository/blob-open.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import { decodeTree, type TreeNode } from '../repository/tree.ts';
import type { CallOptions } from '../storage/backend.ts';

/** Sealed packs kept at once: a walk in tree order leaves one pack for the next and rarely comes back. */
const packsKeptMax = 4;

/**
 * Reads trees for walks through whole snapshots.
 *
 * Whole tree packs are read at once: a walk needs nearly all of their trees, in nearly their order.
 */
export class TreeReader {
  readonly #indexed: IndexedRepository;
  readonly #options: CallOptions;
  readonly #packs = new Map<number, Uint8Array>();
  readonly #decompressor = new Decompressor();

  constructor(indexed: IndexedRepository, options: CallOptions) {
    this.#indexed = indexed;
    this.#options = options;
  }

  /**
   * The nodes of a tree, from any readable copy.
   * @throws BLOB_NOT_FOUND, BLOB_DAMAGED, TREE_DAMAGED, and what the backend throws
   */
  async load(id: Uint8Array): Promise<readonly TreeNode[]> {
    return decodeTree(await this.loadBytes(id));
  }

  /** The encoded tree, as `load`. @throws BLOB_NOT_FOUND, BLOB_DAMAGED, and what the backend throws */
  async loadBytes(id: Uint8Array): Promise<Uint8Array> {
    const { index } = this.#indexed;
    const entry = index.find('tree', id);
    if (entry >= 0 && !index.isPending(entry)) {
      try {
        return await this.#loadFromPack(id, entry);
      } catch (error) {
        // The ordinary way tries every copy, and has the words for what is wrong.
        if (!isHoldfastError(error) || isHoldfastError(error, 'CANCELLED')) throw error;
      }
    }
    return this.#indexed.loadBlob('tree', id, this.#options);
  }

  async #loadFromPack(id: Uint8Array, entry: number): Promise<Uint8Array> {
    const { index, repository } = this.#indexed;
    const pack = await this.#pack(index.packOf(entry));
    const offset = index.offsetOf(entry);
    const sealed = pack.subarray(offset, offset + index.lengthOf(entry));
    const uncompressedLength = index.uncompressedLengthOf(entry);
    const blob = { type: 'tree', id, uncompressedLength } as const;
    const tools = { sealer: repository.sealer, decompressor: this.#decompressor };
    return openBlob(sealed, blob, tools);
  }

  async #pack(pack: number): Promise<Uint8Array> {
    const kept = this.#packs.get(pack);
    if (kept) return kept;
    const { index, repository } = this.#indexed;
    const handle = { type: 'pack', name: toHex(index.packId(pack)) } as const;
    const bytes = await repository.backend.get(handle, undefined, this.#options);
    const oldest = this.#packs.keys().next();
    if (this.#packs.size >= packsKeptMax && !oldest.done) this.#packs.delete(oldest.value);
    this.#packs.set(pack, bytes);
    return bytes;
  }
}
