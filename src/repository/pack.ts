import { idSizeBytes } from './id.ts';
import { assert } from '../base/assert.ts';
import { equalBytes, toHex } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { releaseBuffer } from '../base/release.ts';
import { isSmallNoise } from '../kernels/small-noise.ts';
import { type Sealer, sealOverheadBytes, sealStartBytes } from '../kernels/seal.ts';
import { sha256, sha256Into } from '../kernels/sha256.ts';
import { type CompressionMode, compressBound, Compressor, Decompressor } from '../kernels/zstd.ts';
import {
  type BlobType,
  type PackedBlob,
  PackedBlobs,
  recordSizeBytes,
  recordWords,
  treeFlag,
} from './blob.ts';
import { openTree } from './blob-open.ts';
import { BlobScratch } from './blob-scratch.ts';
import { CompressionGuess } from './compression-guess.ts';
import type { Id } from './id.ts';
import type { BlobPieces } from './pack-pieces.ts';
import {
  compressedEntrySizeBytes,
  encodePackHeader,
  isHeaderOf,
  headerEntrySizeBytes,
  packHeaderSizeBytesMax,
  packOverheadBytes,
} from './pack-header.ts';

export { type BlobType, type PackedBlob, PackedBlobs } from './blob.ts';
export { type BlobTools, openBlob } from './blob-open.ts';
export {
  decodePackHeader,
  loadPackHeader,
  packSizeOf,
  readPackedBlobs,
  readPackedBlobsAt,
  readPackHeader,
} from './pack-header.ts';

/** Room kept for the header behind the last blob; longer headers move the pack to a larger buffer. */
const headerRoomBytes = 1 << 20;
/** Blobs that a pack has room for at first. */
const recordCountFirst = 256;
const uint32Max = 0xffff_ffff;

/** A pack ready to be stored. */
export interface FinishedPack {
  /** SHA-256 of `bytes`: the name of the file. */
  readonly id: Id;
  /** The whole file: the start of a larger buffer, which is the taker's from now on. */
  readonly bytes: Uint8Array;
  readonly type: BlobType;
  readonly blobs: PackedBlobs;
}

/** How blobs are compressed, sealed and gathered into packs; sizes in bytes. */
export interface PackBuilderOptions {
  /** Format version of the repository: version 1 knows no compression. */
  readonly version: 1 | 2;
  readonly sealer: Sealer;
  /** `off` stores data blobs plain; trees are compressed all the same, as version 2 wants. */
  readonly compression: CompressionMode;
  /** Sum of sealed blobs at which a pack is full. */
  readonly targetSizeBytes: number;
  /** Size of plain blobs to have buffers for; a larger blob costs allocations. */
  readonly maxBlobSizeBytes: number;
  /** Buffers to share with other builders of the same thread. */
  readonly workspace?: PackWorkspace;
  /**
   * Gives the memory of the next pack, at least `packBufferSizeBytes` large; fresh memory if absent. A pack that
   * needs more than that moves to fresh memory.
   */
  readonly takeBuffer?: () => Uint8Array;
  /** Hears of a buffer of `takeBuffer` that a pack grew out of. */
  readonly returnBuffer?: (buffer: Uint8Array) => void;
}

/** Memory that a pack needs unless a single blob is larger than `maxBlobSizeBytes`. */
export function packBufferSizeBytes(
  options: Pick<PackBuilderOptions, 'targetSizeBytes' | 'maxBlobSizeBytes'>,
): number {
  const blobBytes = compressBound(options.maxBlobSizeBytes) + sealOverheadBytes;
  return options.targetSizeBytes + blobBytes + headerRoomBytes;
}

/** Codec and buffers of a thread, for any number of builders. Used within one call of `add` only. */
export class PackWorkspace {
  readonly compressor: Compressor;
  readonly guess: CompressionGuess;
  readonly decompressor: Decompressor = new Decompressor();
  readonly compressed: BlobScratch;
  readonly opened: BlobScratch;
  readonly plain: BlobScratch;
  readonly digest: Uint8Array<ArrayBuffer> = new Uint8Array(idSizeBytes);

  constructor(options: Pick<PackBuilderOptions, 'compression' | 'maxBlobSizeBytes'>) {
    this.compressor = new Compressor(options.compression === 'off' ? 'auto' : options.compression);
    this.guess = new CompressionGuess(this.compressor);
    const boundBytes = compressBound(options.maxBlobSizeBytes);
    this.compressed = new BlobScratch(boundBytes);
    this.opened = new BlobScratch(boundBytes);
    this.plain = new BlobScratch(options.maxBlobSizeBytes);
  }
}

/**
 * Builds packs of one blob type, one after another.
 *
 * Every blob is compressed and sealed into the pack, then opened, decompressed and hashed before it counts.
 * Synchronous; one thread only.
 * @see docs/FORMAT.md#packs
 */
export class PackBuilder {
  readonly #options: PackBuilderOptions;
  readonly #workspace: PackWorkspace;
  readonly #capacityBytes: number;
  #pack: Uint8Array | undefined;
  #records: Uint32Array<ArrayBuffer> = new Uint32Array(recordCountFirst * recordWords);
  #type: BlobType = 'data';
  #count = 0;
  #sizeBytes = 0;
  #headerSizeBytes = 0;

  constructor(options: PackBuilderOptions) {
    assert(options.targetSizeBytes > 0, 'the target size of packs is positive');
    this.#options = options;
    this.#workspace = options.workspace ?? new PackWorkspace(options);
    this.#capacityBytes = packBufferSizeBytes(options);
  }

  /** Sum of the sealed blobs so far. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  get blobCount(): number {
    return this.#count;
  }

  /** True when the pack should be finished before the next blob. */
  get isFull(): boolean {
    const headerBytes = this.#headerSizeBytes + compressedEntrySizeBytes + sealOverheadBytes;
    return this.#sizeBytes >= this.#options.targetSizeBytes || headerBytes > packHeaderSizeBytesMax;
  }

  /**
   * Adds one blob. Reads `plain` and `id` during the call only.
   * @returns the bytes that the blob takes in the pack, header entry included
   * @throws VERIFY_FAILED if what was written does not open to bytes with this id; the pack is then as before
   */
  add(type: BlobType, id: Uint8Array, plain: Uint8Array): { readonly storedBytes: number } {
    assert(id.byteLength === idSizeBytes, 'a blob id has 32 bytes');
    const blob = { id, ...this.#seal(type, plain) };
    const { digest } = this.#workspace;
    try {
      sha256Into(this.#open(blob, plain.byteLength), digest, 0);
    } catch (cause) {
      throw verifyFailed(id, cause);
    }
    if (!equalBytes(digest, id)) throw verifyFailed(id);
    return this.#keep(type, blob);
  }

  /**
   * As `add`, of a blob that is hashed only here: its id is that of the bytes that were opened again, once these are proven
   * to be `plain`. So it is hashed once instead of twice; work is lost if `isNew` says no.
   * @param isNew hears the id, valid during the call only, and says whether the blob is to be in the pack
   * @returns undefined if it is not; the pack is then as before
   * @throws VERIFY_FAILED if what was written does not open to `plain`; the pack is then as before
   */
  addUnhashed(
    type: BlobType,
    plain: Uint8Array,
    isNew: (id: Uint8Array) => boolean,
  ): { readonly storedBytes: number } | undefined {
    const { digest } = this.#workspace;
    const blob = { id: digest, ...this.#seal(type, plain) };
    try {
      const opened = this.#open(blob, plain.byteLength);
      assert(equalBytes(opened, plain), 'a blob opens to the bytes that were sealed');
      sha256Into(opened, digest, 0);
    } catch (cause) {
      throw verifyFailed(sha256(plain), cause);
    }
    return isNew(digest) ? this.#keep(type, blob) : undefined;
  }

  /** Compresses and seals a blob behind those of the pack, where the next one overwrites it unless it is kept. */
  #seal(type: BlobType, plain: Uint8Array): Omit<PackedBlob, 'type' | 'id' | 'offset'> {
    assert(this.#count === 0 || type === this.#type, 'a pack holds blobs of one type');
    assert(this.#count === 0 || !this.isFull, 'a full pack is finished first');
    const stored = this.#encode(type, plain);
    const offset = this.#sizeBytes;
    const length = stored.byteLength + sealOverheadBytes;
    assert(offset + length <= uint32Max && plain.byteLength <= uint32Max, 'a pack has < 4 GiB');
    const pack = this.#reserve(offset + length);
    const written = this.#options.sealer.sealInto(stored, pack, offset);
    assert(written === length, 'sealing adds 32 bytes');
    return { length, uncompressedLength: stored === plain ? 0 : plain.byteLength };
  }

  /** Enters a blob that stands behind those of the pack. */
  #keep(
    type: BlobType,
    blob: Pick<PackedBlob, 'id' | 'length' | 'uncompressedLength'>,
  ): { readonly storedBytes: number } {
    this.#type = type;
    this.#record(blob);
    return { storedBytes: blob.length + headerEntrySizeBytes(blob) };
  }

  /**
   * Adds a tree blob that came in pieces, as `add`. Uses `pieces` up.
   * @throws VERIFY_FAILED
   */
  addPieces(id: Uint8Array, pieces: BlobPieces): { readonly storedBytes: number } {
    assert(this.#count === 0 || (this.#type === 'tree' && !this.isFull), 'a pack takes the blob');
    const { plainSizeBytes } = pieces;
    const stored = pieces.join();
    const offset = this.#sizeBytes;
    const length = stored.byteLength + sealOverheadBytes;
    assert(offset + length <= uint32Max && plainSizeBytes <= uint32Max, 'a pack has < 4 GiB');
    const pack = this.#reserve(offset + length);
    this.#options.sealer.sealInto(stored, pack, offset);
    releaseBuffer(stored.buffer);
    const uncompressedLength = pieces.isCompressed ? plainSizeBytes : 0;
    const blob = { type: 'tree', id, length, uncompressedLength } as const;
    try {
      const { sealer } = this.#options;
      const { decompressor } = this.#workspace;
      openTree(pack.subarray(offset, offset + length), blob, { sealer, decompressor });
    } catch (cause) {
      throw verifyFailed(id, cause);
    }
    return this.#keep('tree', blob);
  }

  /**
   * Adds a blob that is compressed already, in the form in which another pack stores it and which was proven to hold
   * the bytes of `id`. Reads `stored` during the call only.
   * @throws VERIFY_FAILED if what was sealed does not open to `stored`; the pack is then as before
   */
  addStored(
    type: BlobType,
    blob: Pick<PackedBlob, 'id' | 'uncompressedLength'>,
    stored: Uint8Array,
  ): { readonly storedBytes: number } {
    assert(this.#options.version > 1 || blob.uncompressedLength === 0, 'version 1 knows no zstd');
    return this.#append(
      type,
      { ...blob, length: stored.byteLength + sealOverheadBytes },
      (room) => {
        this.#options.sealer.sealInto(stored, room, 0);
        const opened = this.#workspace.opened.take(stored.byteLength);
        const size = this.#options.sealer.openInto(room, opened, 0);
        if (!equalBytes(opened.subarray(0, size), stored)) throw verifyFailed(blob.id);
      },
    );
  }

  /** As `addStored`, for a blob that was sealed with the same key: its bytes are taken as they are. */
  addSealed(
    type: BlobType,
    blob: Pick<PackedBlob, 'id' | 'uncompressedLength'>,
    sealed: Uint8Array,
  ): { readonly storedBytes: number } {
    const { byteLength: length } = sealed;
    return this.#append(type, { ...blob, length }, (room) => room.set(sealed));
  }

  /** Has `write` fill the next bytes of the pack with a sealed blob. */
  #append(
    type: BlobType,
    blob: Pick<PackedBlob, 'id' | 'length' | 'uncompressedLength'>,
    write: (room: Uint8Array) => void,
  ): { readonly storedBytes: number } {
    assert(this.#count === 0 || (this.#type === type && !this.isFull), 'a pack takes the blob');
    const offset = this.#sizeBytes;
    const end = offset + blob.length;
    assert(end <= uint32Max && blob.uncompressedLength <= uint32Max, 'a pack has < 4 GiB');
    write(this.#reserve(end).subarray(offset, end));
    return this.#keep(type, blob);
  }

  /** Completes the pack and starts the next one. @throws VERIFY_FAILED */
  finish(): FinishedPack {
    assert(this.#count > 0, 'a pack has blobs');
    // Handed over, and the header sealed where it stands: of very small blobs both have megabytes, in several threads at a time.
    const records = this.#records.buffer.transfer(this.#count * recordSizeBytes);
    // The next pack will have about as many.
    const recordCount = Math.max(recordCountFirst, this.#count + (this.#count >> 3));
    this.#records = new Uint32Array(recordCount * recordWords);
    const blobs = new PackedBlobs(new Uint8Array(records));
    const headerSize = this.#headerSizeBytes;
    const start = this.#sizeBytes;
    const pack = this.#reserve(start + headerSize + packOverheadBytes);
    const header = pack.subarray(start + sealStartBytes, start + sealStartBytes + headerSize);
    assert(encodePackHeader(blobs, header) === headerSize, 'the header has its length');
    const sealedSize = this.#options.sealer.sealInPlace(pack, start, headerSize);
    this.#verifyHeader(pack.subarray(start, start + sealedSize), blobs);
    const end = start + sealedSize + 4;
    new DataView(pack.buffer, pack.byteOffset).setUint32(end - 4, sealedSize, true);
    const bytes = pack.subarray(0, end);
    this.#pack = undefined;
    this.#count = 0;
    this.#sizeBytes = 0;
    this.#headerSizeBytes = 0;
    return { id: toHex(sha256(bytes)), bytes, type: this.#type, blobs };
  }

  /** Who asks for more than the usual compression has every blob searched whole. */
  get #mayGuess(): boolean {
    const { compression } = this.#options;
    return compression === 'auto' || compression === 'fastest';
  }

  /** `plain` itself, or its compressed form in the workspace. */
  #encode(type: BlobType, plain: Uint8Array): Uint8Array {
    const isPlain = type === 'data' && this.#options.compression === 'off';
    if (this.#options.version === 1 || isPlain || plain.byteLength === 0) return plain;
    const { guess, compressor, compressed } = this.#workspace;
    if (type === 'data' && this.#mayGuess && !guess.isWorthwhile(plain, compressed)) return plain;
    if (type === 'data' && this.#mayGuess && isSmallNoise(plain)) return plain;
    const target = compressed.take(compressBound(plain.byteLength));
    const sizeBytes = compressor.compress(plain, target);
    // A frame that saves nothing costs a decompression here and with each reading. Trees are always compressed.
    if (type === 'data' && sizeBytes >= plain.byteLength) return plain;
    return target.subarray(0, sizeBytes);
  }

  /** The plain bytes of the blob that was sealed last, in the workspace. @throws if it does not open */
  #open(
    { length, uncompressedLength }: Pick<PackedBlob, 'length' | 'uncompressedLength'>,
    plainSize: number,
  ): Uint8Array {
    const { decompressor, opened, plain } = this.#workspace;
    const sealed = this.#reserve(0).subarray(this.#sizeBytes, this.#sizeBytes + length);
    const room = opened.take(length);
    const bytes = room.subarray(0, this.#options.sealer.openInto(sealed, room, 0));
    if (uncompressedLength === 0) return bytes;
    const target = plain.take(plainSize).subarray(0, plainSize);
    assert(decompressor.decompress(bytes, target) === plainSize, 'the plain length is kept');
    return target;
  }

  #verifyHeader(sealed: Uint8Array, blobs: PackedBlobs): void {
    if (isHeaderOf(blobs, sealed, this.#options.sealer)) return;
    throw new HoldfastError('VERIFY_FAILED', { message: 'a pack header did not open as written' });
  }

  #record(blob: { id: Uint8Array; length: number; uncompressedLength: number }): void {
    const word = this.#count * recordWords;
    if (word + recordWords > this.#records.length) {
      // What there was is given back at once.
      this.#records = new Uint32Array(this.#records.buffer.transfer(2 * this.#records.byteLength));
    }
    new Uint8Array(this.#records.buffer, this.#count * recordSizeBytes, idSizeBytes).set(blob.id);
    this.#records[word + 8] = this.#sizeBytes;
    this.#records[word + 9] = blob.length;
    this.#records[word + 10] = blob.uncompressedLength;
    this.#records[word + 11] = this.#type === 'tree' ? treeFlag : 0;
    this.#count++;
    this.#sizeBytes += blob.length;
    this.#headerSizeBytes += headerEntrySizeBytes(blob);
  }

  /** The pack's buffer, with room for `sizeBytes` in all. */
  #reserve(sizeBytes: number): Uint8Array {
    this.#pack ??= this.#options.takeBuffer?.() ?? new Uint8Array(this.#capacityBytes);
    if (sizeBytes <= this.#pack.byteLength) return this.#pack;
    const larger = new Uint8Array(sizeBytes + headerRoomBytes);
    larger.set(this.#pack.subarray(0, this.#sizeBytes));
    this.#options.returnBuffer?.(this.#pack);
    this.#pack = larger;
    return larger;
  }
}

function verifyFailed(id: Uint8Array, cause?: unknown): HoldfastError {
  return new HoldfastError('VERIFY_FAILED', {
    message: 'a blob read back differs from the blob written',
    details: { blob: toHex(id) },
    ...(cause === undefined ? {} : { cause }),
  });
}
