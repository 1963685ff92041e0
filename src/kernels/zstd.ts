/** How hard to compress; restic's names. `off` is for the caller: no compressor exists for it. */
export type CompressionMode = 'off' | 'auto' | 'fastest' | 'better' | 'max';

/** The most bytes that a frame of `sizeBytes` content bytes can take. */
export function compressBound(sizeBytes: number): number {
  return sizeBytes + (sizeBytes >>> 8) + 64;
}

/** Compresses to zstd frames. One instance per thread. */
export class Compressor {
  constructor(mode: Exclude<CompressionMode, 'off'>) {
    void mode;
  }

  /** Writes one frame with content size to `target`; returns its length. */
  compress(source: Uint8Array, target: Uint8Array): number {
    throw new Error(`not there yet ${source.length} ${target.length}`);
  }
}

/** Decompresses zstd frames. One instance per thread. */
export class Decompressor {
  /**
   * Decompresses the whole frame(s) in `source` into `target`; returns the bytes written.
   * @throws COMPRESSION_BROKEN if the data is bad or `target` too small
   */
  decompress(source: Uint8Array, target: Uint8Array): number {
    throw new Error(`not there yet ${source.length} ${target.length}`);
  }
}

/** Decompresses frames of unknown content size, at most `sizeBytesMax` bytes. @throws COMPRESSION_BROKEN */
export function decompressUnknown(
  source: Uint8Array,
  sizeBytesMax: number,
): Uint8Array<ArrayBuffer> {
  throw new Error(`not there yet ${source.length} ${sizeBytesMax}`);
}
