import { assert } from '../base/assert.ts';
import { equalBytes } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { hasRepeats } from './compressibility.ts';
import { bindNativeZstd, type CompressionSettings, type ZstdKernel } from './native/zstd.ts';
import { portableZstd } from './portable/zstd.ts';
import { type ContentBound, zstdContentBound } from './zstd-frames.ts';

/** How hard to compress; restic's names. `off` is for the caller: there is no compressor for it. */
export type CompressionMode = 'off' | 'auto' | 'fastest' | 'better' | 'max';

/**
 * zstd settings of each mode.
 *
 * `auto`: on text and program files a shorter match search and larger tables than level 2's own give
 * frames 1 % smaller than restic's default, at about the cost of level 1.
 */
export const compressionSettings: Readonly<
  Record<Exclude<CompressionMode, 'off'>, CompressionSettings>
> = {
  fastest: { level: 1 },
  auto: { level: 2, minMatch: 5, hashLog: 16, chainLog: 15 },
  better: { level: 6 },
  max: { level: 19 },
};

/**
 * From this level on, what looks incompressible at level 1 is not tried any further: level 19 takes 0.4 s for 1 MiB of
 * random data, the look 5 ms.
 */
const thoroughLevelMin = 10;
/** Data looks incompressible if level 1 saves less than this, and repeats in it are a lesser share. */
const savingShareMin = 1 / 128;

let chosen: ZstdKernel | undefined;

/** Chooses the implementation of this thread, which takes some milliseconds the first time; else the first use does. */
export function prepareZstd(): ZstdKernel {
  chosen ??= chooseKernel();
  return chosen;
}

/** The most bytes that a frame of `sizeBytes` content bytes can take; zstd's own bound. */
export function compressBound(sizeBytes: number): number {
  const extra = sizeBytes < 131_072 ? (131_072 - sizeBytes) >>> 11 : 0;
  return sizeBytes + Math.floor(sizeBytes / 256) + extra;
}

/** Compresses blobs and unpacked files to zstd frames (RFC 8878). Holds no memory of its own. */
export class Compressor {
  readonly #kernel: ZstdKernel;
  readonly #settings: CompressionSettings;

  /** @param using the implementation; tests give theirs */
  constructor(mode: Exclude<CompressionMode, 'off'>, using: ZstdKernel = prepareZstd()) {
    this.#settings = compressionSettings[mode];
    this.#kernel = using;
  }

  /**
   * Writes one frame, with content size and without checksum, to the start of `target`, which must hold
   * `compressBound(source.length)` bytes and not overlap `source`.
   * @returns the bytes written, at least 9
   */
  compress(source: Uint8Array, target: Uint8Array): number {
    assert(
      target.length >= compressBound(source.length),
      'a compressor has room for the worst case',
    );
    if (this.#settings.level >= thoroughLevelMin) {
      const sizeBytes = this.#kernel.compress(source, target, compressionSettings.fastest);
      const hasSaved = sizeBytes < source.length * (1 - savingShareMin);
      if (!hasSaved && !hasRepeats(source, savingShareMin)) return sizeBytes;
    }
    return this.#kernel.compress(source, target, this.#settings);
  }
}

/** Decompresses zstd frames of any writer. Holds no memory of its own. */
export class Decompressor {
  readonly #kernel: ZstdKernel;

  /** @param using the implementation; tests give theirs */
  constructor(using: ZstdKernel = prepareZstd()) {
    this.#kernel = using;
  }

  /**
   * Decompresses the whole frame(s) in `source` into `target`, never writing past its end and never
   * allocating more, whatever the frames claim. The caller compares the result with the size it expects.
   * @returns the bytes written
   * @throws COMPRESSION_BROKEN if the data is bad, is followed by other bytes, or `target` is too small
   */
  decompress(source: Uint8Array, target: Uint8Array): number {
    return decompressChecked(this.#kernel, source, { target, bound: zstdContentBound(source) });
  }
}

/**
 * Decompresses frame(s) of unknown content size, as unpacked files hold them.
 *
 * Memory is bounded before decompression by the block headers and by `sizeBytesMax`.
 * @returns the content, at most `sizeBytesMax` bytes, owned by the caller
 * @throws COMPRESSION_BROKEN if the data is bad or gives more bytes
 */
export function decompressUnknown(
  source: Uint8Array,
  sizeBytesMax: number,
  using: ZstdKernel = prepareZstd(),
): Uint8Array<ArrayBuffer> {
  const bound = zstdContentBound(source);
  const target = new Uint8Array(Math.min(bound.sizeBytesMax, sizeBytesMax));
  const size = decompressChecked(using, source, { target, bound });
  return size === target.length ? target : target.slice(0, size);
}

function decompressChecked(
  using: ZstdKernel,
  source: Uint8Array,
  { target, bound }: { readonly target: Uint8Array; readonly bound: ContentBound },
): number {
  const isTooSmall = bound.isExact && bound.sizeBytesMax > target.length;
  if (isTooSmall) throw new HoldfastError('COMPRESSION_BROKEN');
  const size = using.decompress(source, target);
  const isWhole = bound.isExact ? size === bound.sizeBytesMax : size <= bound.sizeBytesMax;
  if (!isWhole) throw new HoldfastError('COMPRESSION_BROKEN');
  return size;
}

/** The native kernel if it is there and keeps the contract on a sample. */
function chooseKernel(): ZstdKernel {
  const native = bindNativeZstd();
  if (native === undefined) return portableZstd;
  const sample = Uint8Array.from({ length: 1000 }, (_, i) => i % 50);
  const frame = new Uint8Array(compressBound(sample.length));
  const size = native.compress(sample, frame, compressionSettings.auto);
  const back = decompressUnknown(frame.subarray(0, size), sample.length, portableZstd);
  const again = decompressUnknown(frame.subarray(0, size), sample.length, native);
  return equalBytes(sample, back) && equalBytes(sample, again) ? native : portableZstd;
}
