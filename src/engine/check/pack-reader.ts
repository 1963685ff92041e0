import { equalBytes, toHex } from '../../base/bytes.ts';
import { isHoldfastError } from '../../base/errors.ts';
import type { Sealer } from '../../kernels/seal.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { Decompressor } from '../../kernels/zstd.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { BlobScratch } from '../../repository/blob-scratch.ts';
import { type BlobTools, openBlob, openTree } from '../../repository/blob-open.ts';
import { type PackedBlobs, readPackedBlobs } from '../../repository/pack.ts';
import type { PackFindings } from './messages.ts';
import type { PackOrder } from './pack-order.ts';

/** Room for the largest chunk; larger blobs of other programs take an allocation each. */
const plainBytes = 8 << 20;

/** Reads whole packs and compares them with the index. One per thread. */
export class PackReader {
  readonly #index: BlobIndex;
  readonly #order: PackOrder;
  readonly #sealer: Sealer;
  readonly #tools: BlobTools;

  constructor(index: BlobIndex, order: PackOrder, sealer: Sealer) {
    this.#index = index;
    this.#order = order;
    this.#sealer = sealer;
    this.#tools = {
      sealer,
      decompressor: new Decompressor(),
      target: new Uint8Array(plainBytes),
      scratch: new BlobScratch(plainBytes),
    };
  }

  /** Everything that is wrong with one pack, given its whole content. */
  check(pack: number, bytes: Uint8Array): PackFindings {
    const errors: string[] = [];
    const name = this.#index.packId(pack);
    if (!equalBytes(sha256(bytes), name)) errors.push('its content does not match its name');
    errors.push(...this.#compareHeader(pack, bytes));
    const damagedEntries: number[] = [];
    for (const entry of this.#order.entriesOf(pack)) {
      const problem = this.#openEntry(entry, bytes);
      if (problem === undefined) continue;
      damagedEntries.push(entry);
      errors.push(problem);
    }
    return { type: 'pack', errors, damagedEntries };
  }

  #openEntry(entry: number, bytes: Uint8Array): string | undefined {
    const index = this.#index;
    const offset = index.offsetOf(entry);
    const end = offset + index.lengthOf(entry);
    const id = index.idOf(entry);
    const type = index.typeOf(entry);
    if (end > bytes.byteLength) return `${type} blob ${toHex(id)} lies beyond the end of the file`;
    const uncompressedLength = index.uncompressedLengthOf(entry);
    try {
      const open = type === 'tree' ? openTree : openBlob;
      open(bytes.subarray(offset, end), { type, id, uncompressedLength }, this.#tools);
      return undefined;
    } catch (error) {
      if (!isHoldfastError(error, 'BLOB_DAMAGED')) throw error;
      return `${error.message}, blob ${toHex(id)}`;
    }
  }

  #compareHeader(pack: number, bytes: Uint8Array): string[] {
    let header: PackedBlobs;
    try {
      header = readPackedBlobs(bytes, this.#sealer);
    } catch (error) {
      if (!isHoldfastError(error, 'PACK_DAMAGED')) throw error;
      return [error.message];
    }
    const entries = this.#order.entriesOf(pack);
    if (header.count !== entries.length) {
      return [`its header has ${header.count} blobs, the index ${entries.length}`];
    }
    for (let i = 0; i < entries.length; i++) {
      const entry = entries[i] ?? -1;
      const blob = header.at(i);
      const same =
        blob.offset === this.#index.offsetOf(entry) &&
        blob.length === this.#index.lengthOf(entry) &&
        blob.uncompressedLength === this.#index.uncompressedLengthOf(entry) &&
        blob.type === this.#index.typeOf(entry) &&
        equalBytes(blob.id, this.#index.idOf(entry));
      if (!same) return [`its header and the index differ at blob ${toHex(blob.id)}`];
    }
    return [];
  }
}
