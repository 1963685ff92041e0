import { differingBlob } from '../packs/same-listing.ts';
import { equalBytes, toHex } from '../../base/bytes.ts';
import { isHoldfastError } from '../../base/errors.ts';
import type { Sealer } from '../../kernels/seal.ts';
import { startSha256 } from '../../kernels/sha256.ts';
import { Decompressor } from '../../kernels/zstd.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { BlobScratch } from '../../repository/blob-scratch.ts';
import { type BlobTools, openBlob, openTree } from '../../repository/blob-open.ts';
import { type PackedBlobs, readPackedBlobsAt } from '../../repository/pack.ts';
import { type PackBytes, type PackContent, PackContents } from '../packs/pack-content.ts';
import type { PackFindings } from './messages.ts';
import type { PackOrder } from '../packs/pack-order.ts';

/** Room for the largest chunk; larger blobs of other programs take an allocation each. */
const plainBytes = 8 << 20;
const noBytes = new Uint8Array(0);

/** Reads whole packs and compares them with the index. One per thread. */
export class PackReader {
  readonly #index: BlobIndex;
  readonly #order: PackOrder;
  readonly #sealer: Sealer;
  readonly #tools: BlobTools;
  readonly #contents = new PackContents();

  constructor(index: BlobIndex, order: PackOrder, sealer: Sealer) {
    this.#index = index;
    this.#order = order;
    this.#sealer = sealer;
    this.#tools = {
      sealer,
      decompressor: new Decompressor(),
      target: new BlobScratch(plainBytes),
      scratch: new BlobScratch(plainBytes),
    };
  }

  /**
   * Everything that is wrong with one pack.
   * @param content all of it
   * @returns undefined if it is a file that cannot be read whole
   */
  check(pack: number, content: PackContent): PackFindings | undefined {
    const hash = startSha256();
    const findings = this.#contents.with(
      content,
      (bytes) => this.#checkBlobs(pack, bytes),
      (bytes) => hash.update(bytes),
    );
    if (!findings || equalBytes(hash.digest(), this.#index.packId(pack))) return findings;
    return { ...findings, errors: ['its content does not match its name', ...findings.errors] };
  }

  #checkBlobs(pack: number, bytes: PackBytes): PackFindings | undefined {
    const problems: string[] = [];
    const damagedEntries: number[] = [];
    for (const entry of this.#order.entriesOf(pack)) {
      const problem = this.#openEntry(entry, bytes);
      if (problem === undefined) continue;
      damagedEntries.push(entry);
      problems.push(problem);
    }
    const header = this.#compareHeader(pack, bytes);
    // To its end, so that the hash is that of the whole file; and if any part could not be read, neither can this.
    if (!bytes.at(bytes.end, bytes.end)) return undefined;
    return { type: 'pack', errors: [...header, ...problems], damagedEntries };
  }

  #openEntry(entry: number, bytes: PackBytes): string | undefined {
    const index = this.#index;
    const offset = index.offsetOf(entry);
    const end = offset + index.lengthOf(entry);
    const id = index.idOf(entry);
    const type = index.typeOf(entry);
    const sealed = bytes.at(offset, end);
    if (!sealed) return `${type} blob ${toHex(id)} lies beyond the end of the file`;
    const uncompressedLength = index.uncompressedLengthOf(entry);
    try {
      const open = type === 'tree' ? openTree : openBlob;
      open(sealed, { type, id, uncompressedLength }, this.#tools);
      return undefined;
    } catch (error) {
      if (!isHoldfastError(error, 'BLOB_DAMAGED')) throw error;
      return `${error.message}, blob ${toHex(id)}`;
    }
  }

  #compareHeader(pack: number, bytes: PackBytes): string[] {
    let header: PackedBlobs;
    try {
      const bytesAt = (start: number, end: number): Uint8Array => bytes.at(start, end) ?? noBytes;
      header = readPackedBlobsAt(bytesAt, bytes.end, this.#sealer);
    } catch (error) {
      if (!isHoldfastError(error, 'PACK_DAMAGED')) throw error;
      return [error.message];
    }
    const listed = this.#order.blobsOf(this.#index, pack);
    if (header.count !== listed.length) {
      return [`its header has ${header.count} blobs, the index ${listed.length}`];
    }
    const other = differingBlob(header, listed);
    if (other) return [`its header and the index differ at blob ${toHex(other.id)}`];
    return [];
  }
}
