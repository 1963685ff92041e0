import { throwIfAborted } from '../base/abort.ts';
import { toHex } from '../base/bytes.ts';
import { endsWork, HoldfastError, isHoldfastError } from '../base/errors.ts';
import { sealOverheadBytes } from '../kernels/seal.ts';
import { compressBound, Decompressor } from '../kernels/zstd.ts';
import type { CallOptions, FileHandle, GetOptions } from '../storage/backend.ts';
import type { BlobType } from './blob.ts';
import type { BlobIndex } from './blob-index.ts';
import { dataSizeBytesMax, openBlob, openTree, treeSizeBytesMaxDefault } from './blob-open.ts';
import { BlobScratch } from './blob-scratch.ts';
import type { IndexFileNames } from './index-load.ts';
import { type PackRead, planPackReads } from './indexed-reads.ts';
import { readUntilSound } from './readings.ts';
import type { Repository } from './repository.ts';
import type { TreeBytes } from './tree-bytes.ts';
import { nodesOf, type TreeNodes } from './tree-nodes.ts';

export { type PackRead, planPackReads, readsInOrder } from './indexed-reads.ts';

/** Copies of a blob that are tried: a hostile index lists millions. */
const copiesTriedMax = 100;
/** Compressed blobs up to this size are opened without an allocation for the intermediate bytes. */
const scratchSizeBytes: number = 9 << 20;

/** A blob of a pack, or why it cannot be had from any pack. */
export type LoadedBlob =
  | { readonly entry: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly entry: number; readonly error: unknown };

const noFiles: IndexFileNames = { names: new Set(), markNames: [] };

/** Makes something of a sealed blob. */
type BlobOpener<Opened> = (
  sealed: Uint8Array,
  blob: Parameters<typeof openBlob>[1],
  tools: Parameters<typeof openBlob>[2],
) => Opened;

/**
 * A repository whose index is loaded: blobs can be found and read.
 *
 * Methods may run concurrently. Every blob that is returned has the hash that it was asked by.
 */
export class IndexedRepository {
  readonly repository: Repository;
  readonly index: BlobIndex;
  /** The index files that were listed when the index was loaded; none if that is not known. */
  readonly files: IndexFileNames;
  readonly #decompressor = new Decompressor();
  readonly #scratch = new BlobScratch(scratchSizeBytes);

  constructor(repository: Repository, index: BlobIndex, files: IndexFileNames = noFiles) {
    this.repository = repository;
    this.index = index;
    this.files = files;
  }

  /**
   * Loads a blob from the first copy that is readable, of the latest hundred. A damaged copy is read again before the next one is tried.
   * @returns the plain bytes, owned by the caller
   * @throws BLOB_NOT_FOUND if no stored pack is known to hold it; BLOB_DAMAGED if every copy is damaged or gone;
   *   BACKEND_UNAVAILABLE, BACKEND_READ_FAILED
   */
  loadBlob(
    type: BlobType,
    id: Uint8Array,
    options: CallOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    return this.#loadBy({ type, id }, options, openBlob);
  }

  async #loadBy<Opened>(
    { type, id }: { readonly type: BlobType; readonly id: Uint8Array },
    options: GetOptions,
    open: BlobOpener<Opened>,
  ): Promise<Opened> {
    const entries = this.index
      .findSome(type, id, copiesTriedMax)
      .filter((entry) => !this.index.isPending(entry));
    const failures: unknown[] = [];
    for (const entry of entries) {
      try {
        return await this.#loadCopy(entry, options, open);
      } catch (error) {
        if (endsWork(error)) throw error;
        failures.push(error);
      }
    }
    throw failureOf(type, id, failures);
  }

  /** Loads a tree. @throws as `loadBlob`; TREE_DAMAGED */
  async loadTree(id: Uint8Array, options: CallOptions = {}): Promise<TreeNodes> {
    return nodesOf(await this.openTree(id, options));
  }

  /** Loads a tree to read it from start to end. @throws as `loadBlob` */
  openTree(id: Uint8Array, options: GetOptions = {}): Promise<TreeBytes> {
    return this.#loadBy({ type: 'tree', id }, options, openTree);
  }

  /**
   * Loads entries of one pack with few reads, in order of their offsets. One read is made ahead of the caller.
   * What cannot be read from this pack is looked for in others.
   * @param entries of `pack`, none pending
   * @throws only what ends the work: CANCELLED, BACKEND_UNAVAILABLE; the trouble of one blob comes in its place
   */
  async *loadBlobsOfPack(
    pack: number,
    entries: readonly number[],
    options: CallOptions = {},
  ): AsyncGenerator<LoadedBlob, void, void> {
    const reads = planPackReads(this.index, entries);
    let ahead: Promise<Uint8Array | undefined> | undefined;
    for (const [number, read] of reads.entries()) {
      const bytes = await (ahead ?? this.readPackPart(pack, read, options));
      const next = reads[number + 1];
      ahead = next && this.readPackPart(pack, next, options);
      // Its failure is met when it is awaited, which an early return of the caller leaves out.
      ahead?.catch(() => undefined);
      for (const entry of read.entries) yield await this.#loadFrom(bytes, read, entry, options);
    }
  }

  /**
   * The sealed bytes of a read as they are stored; undefined if the pack does not give them, or if the read is not
   * plausible.
   * @returns owned by the caller, not proven to be anything
   * @throws CANCELLED, BACKEND_UNAVAILABLE
   */
  async readPackPart(
    pack: number,
    read: PackRead,
    options: CallOptions,
  ): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const entry = read.entries[0];
    if (entry === undefined || !this.isPlausible(read)) return undefined;
    try {
      return await this.repository.backend.get(this.#handleOf(pack, entry), read, options);
    } catch (error) {
      if (endsWork(error)) throw error;
      return undefined;
    }
  }

  async #loadFrom(
    bytes: Uint8Array | undefined,
    read: PackRead,
    entry: number,
    options: CallOptions,
  ): Promise<LoadedBlob> {
    throwIfAborted(options.signal);
    const start = this.index.offsetOf(entry) - read.start;
    try {
      if (bytes) {
        const sealed = bytes.subarray(start, start + this.index.lengthOf(entry));
        return { entry, bytes: this.#open(entry, sealed, openBlob) };
      }
    } catch (error) {
      if (!isHoldfastError(error, 'BLOB_DAMAGED')) throw error;
    }
    try {
      const id = this.index.idOf(entry);
      return { entry, bytes: await this.loadBlob(this.index.typeOf(entry), id, options) };
    } catch (error) {
      if (endsWork(error)) throw error;
      return { entry, error };
    }
  }

  async #loadCopy<Opened>(
    entry: number,
    options: GetOptions,
    open: BlobOpener<Opened>,
  ): Promise<Opened> {
    if (this.#isTooLarge(entry)) throw damagedError(this.index, entry, 'is larger than allowed');
    return readUntilSound(
      ({ fresh }) =>
        this.#readCopy(entry, { ...options, fresh: fresh || options.fresh === true }, open),
      (error) => isHoldfastError(error, 'BLOB_DAMAGED'),
    );
  }

  async #readCopy<Opened>(
    entry: number,
    options: GetOptions,
    open: BlobOpener<Opened>,
  ): Promise<Opened> {
    const start = this.index.offsetOf(entry);
    const range = { start, end: start + this.index.lengthOf(entry) };
    const handle = this.#handleOf(this.index.packOf(entry), entry);
    const sealed = await this.repository.backend.get(handle, range, options);
    return this.#open(entry, sealed, open);
  }

  #open<Opened>(entry: number, sealed: Uint8Array, open: BlobOpener<Opened>): Opened {
    const blob = {
      type: this.index.typeOf(entry),
      id: this.index.idOf(entry),
      uncompressedLength: this.index.uncompressedLengthOf(entry),
    };
    return open(sealed, blob, {
      sealer: this.repository.sealer,
      decompressor: this.#decompressor,
      scratch: this.#scratch,
    });
  }

  #handleOf(pack: number, entry: number): FileHandle {
    const holdsTrees = this.index.typeOf(entry) === 'tree';
    return { type: 'pack', name: toHex(this.index.packId(pack)), holdsTrees };
  }

  /** False if the index declares sizes that no blob may have: such a read is not made. */
  isPlausible(read: PackRead): boolean {
    return !read.entries.some((entry) => this.#isTooLarge(entry));
  }

  /** True if the index declares a size that no blob may have: it is not even read. */
  #isTooLarge(entry: number): boolean {
    const isTree = this.index.typeOf(entry) === 'tree';
    const plainMax = isTree ? treeSizeBytesMaxDefault : dataSizeBytesMax;
    return this.index.lengthOf(entry) > compressBound(plainMax) + sealOverheadBytes;
  }
}

/** True for what another reading would not change. */
function isAtRest(error: unknown): boolean {
  return isHoldfastError(error, 'BLOB_DAMAGED', 'FILE_NOT_FOUND', 'RANGE_NOT_SATISFIABLE');
}

function failureOf(type: BlobType, id: Uint8Array, failures: readonly unknown[]): unknown {
  const details = { type, blob: toHex(id), copies: failures.length };
  if (failures.length === 0) {
    return new HoldfastError('BLOB_NOT_FOUND', {
      message: `a ${type} blob is not in the index`,
      details,
    });
  }
  const other = failures.find((error) => !isAtRest(error));
  if (other !== undefined) return other;
  if (failures.length === 1 && isHoldfastError(failures[0], 'BLOB_DAMAGED')) return failures[0];
  return new HoldfastError('BLOB_DAMAGED', {
    message: `a ${type} blob cannot be read from any pack`,
    details,
    cause: failures[0],
  });
}

function damagedError(index: BlobIndex, entry: number, what: string): HoldfastError {
  return new HoldfastError('BLOB_DAMAGED', {
    message: `a ${index.typeOf(entry)} blob ${what}`,
    details: { blob: toHex(index.idOf(entry)), lengthBytes: index.lengthOf(entry) },
  });
}
