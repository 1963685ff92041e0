import { equalBytes, toHex } from '../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type Sealer, sealOverheadBytes } from '../kernels/seal.ts';
import { sha256 } from '../kernels/sha256.ts';
import type { Decompressor } from '../kernels/zstd.ts';
import type { PackedBlob } from './blob.ts';
import type { BlobScratch } from './blob-scratch.ts';

/** Largest plain data blob that is opened: chunks are at most 8 MiB, other programs may cut larger ones. */
export const dataSizeBytesMax: number = 64 << 20;
/** Largest plain tree blob that is opened unless the caller says otherwise: some 3 million entries. */
export const treeSizeBytesMaxDefault: number = 1 << 30;

/** What opening needs; one set per thread. */
export interface BlobTools {
  readonly sealer: Sealer;
  readonly decompressor: Decompressor;
  /** Takes the plain bytes if it is large enough; else a new array does. */
  readonly target?: Uint8Array<ArrayBuffer>;
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
  const openedSize = sealed.byteLength - sealOverheadBytes;
  const plainSize = blob.uncompressedLength > 0 ? blob.uncompressedLength : openedSize;
  const treeLimit = tools.treeSizeBytesMax ?? treeSizeBytesMaxDefault;
  if (openedSize < 0) throw damaged(blob, 'it is too short');
  if (plainSize > (blob.type === 'data' ? dataSizeBytesMax : treeLimit)) {
    throw damaged(blob, 'it is larger than allowed');
  }
  const target = tools.target;
  const whole = target && target.byteLength >= plainSize ? target : new Uint8Array(plainSize);
  const plain = whole.byteLength === plainSize ? whole : whole.subarray(0, plainSize);
  try {
    openInto(sealed, { plain, isCompressed: blob.uncompressedLength > 0 }, tools);
  } catch (error) {
    if (!isHoldfastError(error, 'SEAL_BROKEN', 'COMPRESSION_BROKEN')) throw error;
    throw damaged(blob, error.message, error);
  }
  if (!equalBytes(sha256(plain), blob.id)) throw damaged(blob, 'its content has another hash');
  return plain;
}

function openInto(
  sealed: Uint8Array,
  result: { readonly plain: Uint8Array<ArrayBuffer>; readonly isCompressed: boolean },
  tools: BlobTools,
): void {
  if (!result.isCompressed) {
    tools.sealer.openInto(sealed, result.plain, 0);
    return;
  }
  const size = sealed.byteLength - sealOverheadBytes;
  const opened = tools.scratch?.take(size) ?? new Uint8Array(size);
  tools.sealer.openInto(sealed, opened, 0);
  const written = tools.decompressor.decompress(opened.subarray(0, size), result.plain);
  if (written !== result.plain.byteLength) {
    throw new HoldfastError('COMPRESSION_BROKEN', {
      message: 'it decompresses to another length than declared',
      details: { expected: result.plain.byteLength, actual: written },
    });
  }
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
