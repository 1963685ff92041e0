import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { assert } from '../../base/assert.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { CompressionSettings, ZstdKernel } from '../native/zstd.ts';

const windowLogMax = 27;

/** Node's own zstd: a new context and stream object per call, about 50 microseconds for a small blob. */
export const portableZstd: ZstdKernel = {
  compress(source, target, settings) {
    const frame = zstdCompressSync(source, {
      pledgedSrcSize: source.length,
      params: parametersOf(settings),
    });
    assert(frame.length <= target.length, 'a compressed frame fits its bound');
    target.set(frame);
    return frame.length;
  },
  decompress(source, target) {
    const content = decompressBounded(source, target.length);
    if (content.length > target.length) throw new HoldfastError('COMPRESSION_BROKEN');
    target.set(content);
    return content.length;
  },
};

function parametersOf(settings: CompressionSettings): Record<number, number> {
  const { level, minMatch, hashLog, chainLog } = settings;
  return {
    [constants.ZSTD_c_compressionLevel]: level,
    [constants.ZSTD_c_contentSizeFlag]: 1,
    [constants.ZSTD_c_checksumFlag]: 0,
    // 0 leaves the choice to the level.
    [constants.ZSTD_c_minMatch]: minMatch ?? 0,
    [constants.ZSTD_c_hashLog]: hashLog ?? 0,
    [constants.ZSTD_c_chainLog]: chainLog ?? 0,
  };
}

function decompressBounded(source: Uint8Array, sizeBytesMax: number): Uint8Array {
  try {
    return zstdDecompressSync(source, {
      maxOutputLength: Math.max(1, sizeBytesMax),
      chunkSize: Math.min(Math.max(64, sizeBytesMax), 2 ** 20),
      params: { [constants.ZSTD_d_windowLogMax]: windowLogMax },
    });
  } catch (cause) {
    throw new HoldfastError('COMPRESSION_BROKEN', { cause });
  }
}
