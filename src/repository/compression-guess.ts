import { type Compressor, compressBound } from '../kernels/zstd.ts';
import type { BlobScratch } from './blob-scratch.ts';

/** Below this a blob is simply compressed: sampling would cost as much. */
const sampledSizeBytesMin = 256 << 10;
const sliceCount = 16;
const sliceSizeBytes = 4 << 10;
const sampleSizeBytes = sliceCount * sliceSizeBytes;

/**
 * False for a large blob of which a sample does not shrink: media, archives, encrypted files. They are then stored as
 * they are, which saves two copies of their bytes when they are written and one when they are read.
 *
 * The sample is taken evenly from all of the blob, so that text or zeros in a part of it are seen. What it cannot see is
 * that incompressible bytes come twice within one blob; that costs space, never content.
 */
export class CompressionGuess {
  readonly #compressor: Compressor;
  readonly #sample = new Uint8Array(sampleSizeBytes);

  constructor(compressor: Compressor) {
    this.#compressor = compressor;
  }

  isWorthwhile(plain: Uint8Array, scratch: BlobScratch): boolean {
    if (plain.byteLength < sampledSizeBytesMin) return true;
    const step = (plain.byteLength - sliceSizeBytes) / (sliceCount - 1);
    for (let i = 0; i < sliceCount; i++) {
      const start = Math.floor(i * step);
      this.#sample.set(plain.subarray(start, start + sliceSizeBytes), i * sliceSizeBytes);
    }
    const target = scratch.take(compressBound(sampleSizeBytes));
    // A block that would shrink by less than a sixty-fourth is kept as it is, with a header.
    return this.#compressor.compress(this.#sample, target) < sampleSizeBytes;
  }
}
