import { sha256 } from '../../kernels/sha256.ts';
import type { BlobType } from '../../repository/blob.ts';
import { IndexWriter, type StoredByWork } from '../../repository/index-writer.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { unreliablePacks } from './known-packs.ts';
import { PackStore } from './pack-store.ts';
import type { EngineContext } from '../context.ts';
import { type Movers, startMovers } from './movers.ts';

/** Bytes that may be on their way to the storage. */
const unsettledSizeBytesMax: number = 32 << 20;
/** Copies of a blob that are looked at, the latest first: a hostile index lists millions. */
const copiesMax = 100;

/** Stores single new blobs, mostly trees, in this thread: for what is small beside the repository. */
export class BlobWriter {
  readonly #indexed: IndexedRepository;
  readonly #store: PackStore;
  readonly #index: IndexWriter;
  readonly #movers: Promise<Movers>;
  readonly #again: boolean;
  readonly #signal: AbortSignal | undefined;
  /** Packs that blobs are not to be found in, once that was asked. */
  #unreliable: Promise<ReadonlySet<number>> | undefined;
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
    this.#signal = context.signal;
    this.#index = how.writer ?? new IndexWriter(indexed.repository, { signal: context.signal });
    this.#store = new PackStore(indexed.repository, indexed.index, this.#index);
    const parts = { source: indexed, target: indexed, store: this.#store };
    // What is known is left out here.
    this.#movers = startMovers({ ...parts, again: true, sizeBytes: 0 }, context);
  }

  /** True once something could not be stored: what `add` threw was no fault of the bytes it was given. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** What was stored so far. */
  get stored(): StoredByWork {
    return this.#index.stored;
  }

  /**
   * Stores a blob unless it is known, or always with `again`. What only packs hold that are lost, or that a prune means to
   * delete, counts as unknown. Nothing may refer to it before `finish`.
   * @returns its id
   * @throws VERIFY_FAILED, and what storing throws
   */
  async add(type: BlobType, bytes: Uint8Array): Promise<Uint8Array> {
    const id = sha256(bytes);
    if (!this.#again && (await this.#isKnown(type, id))) return id;
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

  async #isKnown(type: BlobType, id: Uint8Array): Promise<boolean> {
    const { index } = this.#indexed;
    if (index.find(type, id) < 0) return false;
    this.#unreliable ??= unreliablePacks(this.#indexed, { signal: this.#signal });
    const unreliable = await this.#unreliable;
    const copies = index.findSome(type, id, copiesMax);
    return copies.some((entry) => index.isPending(entry) || !unreliable.has(index.packOf(entry)));
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
