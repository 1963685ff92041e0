import { isHoldfastError } from '../../base/errors.ts';
import type { Random } from '../../base/random.ts';
import { chunkSizeBytesMax } from '../../kernels/chunker.ts';
import { Sealer } from '../../kernels/seal.ts';
import { type CompressionMode, Decompressor } from '../../kernels/zstd.ts';
import type { BlobType } from '../../repository/blob.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { type BlobTools, openStoredBlob, openTree } from '../../repository/blob-open.ts';
import { BlobScratch } from '../../repository/blob-scratch.ts';
import { PackBuilder, PackWorkspace } from '../../repository/pack.ts';
import { treeInPiecesSizeBytesMin } from '../../repository/tree.ts';
import { ChunkSink, type PackTaker } from './chunk-sink.ts';
import { type PackBytes, PackContents } from './pack-content.ts';
import type { MoveRequest, MoveResponse, MoveSettings, SealedBlobs } from './mover-messages.ts';

/** What a mover works with. */
export interface MoveParts {
  readonly source: BlobIndex;
  readonly target: BlobIndex;
  readonly settings: MoveSettings;
  readonly random: Random;
  /** Memory for packs; absent: of their own. */
  readonly takeBuffer?: () => Uint8Array;
  readonly returnBuffer?: (buffer: Uint8Array) => void;
}

/** A blob as it stands in the source's index. */
interface SourceBlob {
  readonly type: BlobType;
  readonly id: Uint8Array;
  readonly uncompressedLength: number;
}

/**
 * Opens, proves and packs blobs. One per thread; the indexes are shared.
 *
 * A blob that is compressed keeps its form, and within one repository its sealed bytes: it is decompressed only to be
 * proven. It is compressed anew only when the user asked for another form than the usual one.
 */
export class BlobMover {
  readonly #parts: MoveParts;
  readonly #tools: BlobTools;
  readonly #sink: ChunkSink;
  readonly #contents = new PackContents();

  constructor(parts: MoveParts, take: PackTaker) {
    this.#parts = parts;
    this.#tools = {
      sealer: new Sealer(parts.settings.sourceKey, parts.random),
      decompressor: new Decompressor(),
      target: new BlobScratch(chunkSizeBytesMax),
      scratch: new BlobScratch(2 * chunkSizeBytesMax),
    };
    this.#sink = sinkFor(parts, take);
  }

  answer(request: MoveRequest): MoveResponse {
    const damaged: number[] = [];
    if (request.type === 'sealed') this.#move(request, damaged);
    else if (request.type === 'flush') this.#sink.flush();
    else this.#add(request.blobType, request.id, request.bytes);
    return { added: this.#sink.takeAdded(), damaged: Int32Array.from(damaged) };
  }

  #move({ entries, content }: SealedBlobs, damaged: number[]): void {
    const isRead = this.#contents.with(content, (bytes) => {
      for (const entry of entries) if (!this.#moveEntry(entry, bytes)) damaged.push(entry);
      return true;
    });
    if (!isRead) for (const entry of entries) damaged.push(entry);
  }

  /** @returns false if the blob could not be read or opened */
  #moveEntry(entry: number, bytes: PackBytes): boolean {
    const { source, target, settings } = this.#parts;
    const type = source.typeOf(entry);
    const id = source.idOf(entry);
    if (!settings.again && target.find(type, id) >= 0) return true;
    const offset = source.offsetOf(entry);
    const sealed = bytes.at(offset, offset + source.lengthOf(entry));
    if (!sealed) return false;
    try {
      const uncompressedLength = source.uncompressedLengthOf(entry);
      this.#moveBlob({ type, id, uncompressedLength }, sealed);
      return true;
    } catch (error) {
      if (!isHoldfastError(error, 'BLOB_DAMAGED')) throw error;
      return false;
    }
  }

  #moveBlob(blob: SourceBlob, sealed: Uint8Array): void {
    const { settings } = this.#parts;
    const isLarge = blob.type === 'tree' && blob.uncompressedLength > treeInPiecesSizeBytesMin;
    if (!keepsForm(blob, settings)) {
      return this.#add(blob.type, blob.id, openStoredBlob(sealed, blob, this.#tools).plain);
    }
    let stored: Uint8Array;
    if (isLarge) {
      // It may be larger than memory: it is proven piece by piece.
      openTree(sealed, blob, this.#tools);
      stored = this.#tools.sealer.open(sealed);
    } else stored = openStoredBlob(sealed, blob, this.#tools).stored;
    const entry = this.#claim(blob.type, blob.id);
    if (entry < 0) return;
    const plainBytes = blob.uncompressedLength || stored.byteLength;
    this.#sink.addPacked(blob.type, { entry, plainBytes }, (builder) =>
      settings.isSame
        ? builder.addSealed(blob.type, blob, sealed)
        : builder.addStored(blob.type, blob, stored),
    );
  }

  #add(type: BlobType, id: Uint8Array, bytes: Uint8Array): void {
    const entry = this.#claim(type, id);
    if (entry >= 0) this.#sink.addClaimed(type, { id, entry, bytes });
  }

  /** Claims a blob that is certain to be stored: what is claimed counts as stored for the next transfer. */
  #claim(type: BlobType, id: Uint8Array): number {
    const { settings, target } = this.#parts;
    return settings.again ? target.claimCopy(type, id) : target.claim(type, id);
  }
}

/** True for a blob whose stored form fits the target as it is. */
function keepsForm({ type, uncompressedLength }: SourceBlob, settings: MoveSettings): boolean {
  const { version, compression } = settings;
  if (version === 1) return uncompressedLength === 0;
  const isCompressed = uncompressedLength > 0;
  if (type === 'data' && compression === 'off') return !isCompressed;
  return isCompressed && !isThorough(compression);
}

/** True for a mode that somebody asks for who wants smaller blobs than there are. */
function isThorough(compression: CompressionMode): boolean {
  return compression === 'better' || compression === 'max';
}

function sinkFor(parts: MoveParts, take: PackTaker): ChunkSink {
  const { settings, target, random, takeBuffer, returnBuffer } = parts;
  const options = {
    version: settings.version,
    sealer: new Sealer(settings.targetKey, random),
    compression: settings.compression,
    targetSizeBytes: settings.packSizeBytes,
    maxBlobSizeBytes: chunkSizeBytesMax,
    ...(takeBuffer ? { takeBuffer } : {}),
    ...(returnBuffer ? { returnBuffer } : {}),
  };
  const workspace = new PackWorkspace(options);
  const builder = (): PackBuilder => new PackBuilder({ ...options, workspace });
  return new ChunkSink(target, { data: builder(), tree: builder() }, take);
}
