import { sha256 } from '../kernels/sha256.ts';
import type { BlobType } from '../repository/blob.ts';
import { IndexWriter } from '../repository/index-writer.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { Id } from '../repository/id.ts';
import { PackStore } from './backup/pack-store.ts';
import type { EngineContext } from './context.ts';
import { type Movers, startMovers } from './transfer/movers.ts';

/** Bytes that may be on their way to the storage. */
const unsettledSizeBytesMax: number = 32 << 20;

/** Stores single new blobs, mostly trees, in this thread: for what is small beside the repository. */
export class BlobWriter {
  readonly #indexed: IndexedRepository;
  readonly #store: PackStore;
  readonly #index: IndexWriter;
  readonly #movers: Promise<Movers>;
  readonly #again: boolean;
  #unsettledSizeBytes = 0;
  #hasFailed = false;

  /**
   * @param how `writer` hears of the packs; its own if absent. `again`: store also what the index lists, for blobs whose
   *   listed copies are lost
   */
  constructor(
    indexed: IndexedRepository,
    context: EngineContext,
    how: { readonly writer?: IndexWriter; readonly again?: boolean } = {},
  ) {
    const { again = false } = how;
    this.#indexed = indexed;
    this.#again = again;
    this.#index = how.writer ?? new IndexWriter(indexed.repository, { signal: context.signal });
    this.#store = new PackStore(indexed.repository, indexed.index, this.#index);
    const parts = { source: indexed, target: indexed, again, store: this.#store };
    this.#movers = startMovers({ ...parts, sizeBytes: 0 }, context);
  }

  /** True once something could not be stored: what `add` threw was no fault of the bytes it was given. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Index files saved so far. */
  get savedIds(): readonly Id[] {
    return this.#index.savedIds;
  }

  /**
   * Stores a blob unless it is known, or always with `again`. Nothing may refer to it before `finish`.
   * @returns its id
   * @throws VERIFY_FAILED, and what storing throws
   */
  async add(type: BlobType, bytes: Uint8Array): Promise<Uint8Array> {
    const id = sha256(bytes);
    if (!this.#again && this.#indexed.index.find(type, id) >= 0) return id;
    try {
      await this.#storeNew({ type, id, bytes });
    } catch (error) {
      this.#hasFailed = true;
      throw error;
    }
    return id;
  }

  async #storeNew(blob: {
    readonly type: BlobType;
    readonly id: Uint8Array;
    readonly bytes: Uint8Array;
  }): Promise<void> {
    const { type: blobType, id, bytes } = blob;
    const movers = await this.#movers;
    await movers.run({ type: 'plain', blobType, id, bytes });
    this.#unsettledSizeBytes += bytes.byteLength;
    if (this.#unsettledSizeBytes >= unsettledSizeBytesMax) await this.#settle();
  }

  /** Resolves once everything added is stored, confirmed and listed in an index file. */
  async finish(): Promise<void> {
    await (await this.#movers).flush();
    await this.#settle();
    // Not given up on the way: nobody would wait for the end of what is being stored.
    await this.#store.finish(undefined);
  }

  async #settle(): Promise<void> {
    await this.#store.settled(undefined);
    this.#unsettledSizeBytes = 0;
  }
}
