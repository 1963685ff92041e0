import { equalBytes, toHex } from '../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type Sealer, sealOverheadBytes } from '../kernels/seal.ts';
import { releaseBuffer } from '../base/release.ts';
import { sha256, startSha256 } from '../kernels/sha256.ts';
import type { Decompressor } from '../kernels/zstd.ts';
import { visitZstdFrames } from '../kernels/zstd-frames.ts';
import type { PackedBlob } from './blob.ts';
import type { BlobScratch } from './blob-scratch.ts';
import { TreeBytes, treeInPiecesSizeBytesMin, type TreePiece } from './tree-bytes.ts';

/** Largest plain data blob that is opened: chunks are at most 8 MiB, other programs may cut larger ones. */
export const dataSizeBytesMax: number = 64 << 20;
/** Largest piece of a tree that is read piece by piece. */
const pieceSizeBytesMax: number = 32 << 20;
const pieceCountMax = 4096;
/** Largest plain tree blob that is opened unless the caller says otherwise: some 3 million entries. */
export const treeSizeBytesMaxDefault: number = 1 << 30;

/** What opening needs; one set per thread. */
export interface BlobTools {
  readonly sealer: Sealer;
  readonly decompressor: Decompressor;
  /** Takes the plain bytes; without it a new array does. */
  readonly target?: BlobScratch;
  /** Holds what is unsealed but still compressed. Saves an allocation per blob. */
  readonly scratch?: BlobScratch;
  readonly treeSizeBytesMax?: number;
}

/**
 * Opens one sealed blob: checks the tag, decrypts, decompresses to exactly the declared length, checks the hash.
 * @returns the plain bytes, a view of `tools.target` if that was used
 * @throws BLOB_DAMAGED, also for a declared size beyond the limits, before anything of that size is allocated
 * @see docs/FORMAT.md#packs
 */
export function openBlob(
  sealed: Uint8Array,
  blob: Pick<PackedBlob, 'type' | 'id' | 'uncompressedLength'>,
  tools: BlobTools,
): Uint8Array<ArrayBuffer> {
  return openStoredBlob(sealed, blob, tools).plain;
}

/**
 * As `openBlob`; gives besides the form that was sealed: compressed, in `tools.scratch` if that was used, or the plain
 * bytes themselves.
 */
export function openStoredBlob(
  sealed: Uint8Array,
  blob: Pick<PackedBlob, 'type' | 'id' | 'uncompressedLength'>,
  tools: BlobTools,
): { readonly plain: Uint8Array<ArrayBuffer>; readonly stored: Uint8Array<ArrayBuffer> } {
  const openedSize = sealed.byteLength - sealOverheadBytes;
  const plainSize = blob.uncompressedLength > 0 ? blob.uncompressedLength : openedSize;
  const treeLimit = tools.treeSizeBytesMax ?? treeSizeBytesMaxDefault;
  if (openedSize < 0) throw damaged(blob, 'it is too short');
  if (plainSize > (blob.type === 'data' ? dataSizeBytesMax : treeLimit)) {
    throw damaged(blob, 'it is larger than allowed');
  }
  const whole = tools.target?.take(plainSize) ?? new Uint8Array(plainSize);
  const plain = whole.byteLength === plainSize ? whole : whole.subarray(0, plainSize);
  let stored: Uint8Array<ArrayBuffer>;
  try {
    stored = openInto(sealed, { plain, isCompressed: blob.uncompressedLength > 0 }, tools);
  } catch (error) {
    if (!isHoldfastError(error, 'SEAL_BROKEN', 'COMPRESSION_BROKEN')) throw error;
    throw damaged(blob, error.message, error);
  }
  if (!equalBytes(sha256(plain), blob.id)) throw damaged(blob, 'its content has another hash');
  return { plain, stored };
}

/**
 * As `openBlob`, for trees: one that is large and was stored in pieces stays compressed, so that its size needs no
 * limit. All of it has been decompressed and hashed once.
 */
export function openTree(
  sealed: Uint8Array,
  blob: Pick<PackedBlob, 'type' | 'id' | 'uncompressedLength'>,
  tools: BlobTools,
): TreeBytes {
  const isLarge = blob.uncompressedLength > treeInPiecesSizeBytesMin;
  const opened = isLarge ? openPieces(sealed, blob, tools) : undefined;
  return opened ?? TreeBytes.whole(openBlob(sealed, blob, tools));
}

/** Undefined unless the tree is stored in pieces. */
function openPieces(
  sealed: Uint8Array,
  blob: Pick<PackedBlob, 'type' | 'id' | 'uncompressedLength'>,
  tools: BlobTools,
): TreeBytes | undefined {
  try {
    const opened = tools.sealer.open(sealed);
    const pieces = piecesOf(opened);
    if (!pieces) {
      releaseBuffer(opened.buffer);
      return undefined;
    }
    const tree = TreeBytes.inPieces(pieces, tools.decompressor);
    if (tree.sizeBytes !== blob.uncompressedLength) throw wrongLength(blob, tree.sizeBytes);
    if (!equalBytes(hashOf(tree), blob.id)) throw damaged(blob, 'its content has another hash');
    return tree;
  } catch (error) {
    if (!isHoldfastError(error, 'SEAL_BROKEN', 'COMPRESSION_BROKEN')) throw error;
    throw damaged(blob, error.message, error);
  }
}

/** The frames of a compressed tree, if they are of moderate sizes that are known; else undefined. */
function piecesOf(opened: Uint8Array): TreePiece[] | undefined {
  const pieces: TreePiece[] = [];
  let start = 0;
  let isFit = true;
  visitZstdFrames(opened, ({ end, sizeBytesMax, isExact }) => {
    isFit &&= isExact && sizeBytesMax <= pieceSizeBytesMax && pieces.length < pieceCountMax;
    if (isFit) pieces.push({ compressed: opened.subarray(start, end), sizeBytes: sizeBytesMax });
    start = end;
  });
  return isFit ? pieces : undefined;
}

function hashOf(tree: TreeBytes): Uint8Array {
  const hash = startSha256();
  const piece = new Uint8Array(pieceSizeBytesMax);
  for (let i = 0; i < tree.pieceCount; i++) {
    const bytes = piece.subarray(0, tree.sizeOf(i));
    tree.readPiece(i, bytes);
    hash.update(bytes);
  }
  return hash.digest();
}

function wrongLength(blob: Pick<PackedBlob, 'uncompressedLength'>, actual: number): HoldfastError {
  return new HoldfastError('COMPRESSION_BROKEN', {
    message: 'it decompresses to another length than declared',
    details: { expected: blob.uncompressedLength, actual },
  });
}

function openInto(
  sealed: Uint8Array,
  result: { readonly plain: Uint8Array<ArrayBuffer>; readonly isCompressed: boolean },
  tools: BlobTools,
): Uint8Array<ArrayBuffer> {
  if (!result.isCompressed) {
    tools.sealer.openInto(sealed, result.plain, 0);
    return result.plain;
  }
  const size = sealed.byteLength - sealOverheadBytes;
  const opened = tools.scratch?.take(size) ?? new Uint8Array(size);
  tools.sealer.openInto(sealed, opened, 0);
  const stored = opened.subarray(0, size);
  const written = tools.decompressor.decompress(stored, result.plain);
  if (written !== result.plain.byteLength) {
    throw wrongLength({ uncompressedLength: result.plain.byteLength }, written);
  }
  return stored;
}

function damaged(
  blob: Pick<PackedBlob, 'type' | 'id'>,
  what: string,
  cause?: unknown,
): HoldfastError {
  return new HoldfastError('BLOB_DAMAGED', {
    message: `a ${blob.type} blob is damaged: ${what}`,
    details: { blob: toHex(blob.id) },
    ...(cause === undefined ? {} : { cause }),
  });
}
