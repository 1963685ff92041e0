import { assert } from '../../base/assert.ts';
import { HoldfastError } from '../../base/errors.ts';
import {
  bindNative,
  type NativeFunction,
  type NativePointer,
  pointerFrom,
  releaseAtExit,
} from './library.ts';

/** How hard to compress. @see zstd.h, ZSTD_cParameter */
export interface CompressionSettings {
  readonly level: number;
  /** Shortest match looked for; the level's own if absent, as for the tables. */
  readonly minMatch?: number;
  /** Sizes of the match tables, as powers of 2. */
  readonly hashLog?: number;
  readonly chainLog?: number;
}

/** Numbers of ZSTD_cParameter, which are part of the stable interface. */
const parameter = { level: 100, hashLog: 102, chainLog: 103, minMatch: 105 } as const;

/** The two directions of zstd. Both write from the start of `target` and return the bytes written. */
export interface ZstdKernel {
  /** One frame with content size, without checksum. `target` holds at least `compressBound` bytes. */
  compress(source: Uint8Array, target: Uint8Array, settings: CompressionSettings): number;
  /** All frames of `source`, whose headers the caller has walked. @throws COMPRESSION_BROKEN */
  decompress(source: Uint8Array, target: Uint8Array): number;
}

/**
 * libzstd's one-shot functions with contexts that live as long as the thread. Output goes straight to
 * `target`, which also serves as the window, so a frame cannot make the decoder allocate anything.
 *
 * @returns undefined where the functions cannot be bound
 */
export function bindNativeZstd(): ZstdKernel | undefined {
  const buffers = ['void *', 'size_t', 'void *', 'size_t'];
  const library = bindNative((program) => ({
    createCompress: program.func('ZSTD_createCCtx', 'void *', []),
    freeCompress: program.func('ZSTD_freeCCtx', 'size_t', ['void *']),
    set: program.func('ZSTD_CCtx_setParameter', 'size_t', ['void *', 'int', 'int']),
    compress: program.func('ZSTD_compress2', 'size_t', ['void *', ...buffers]),
    createDecompress: program.func('ZSTD_createDCtx', 'void *', []),
    freeDecompress: program.func('ZSTD_freeDCtx', 'size_t', ['void *']),
    decompress: program.func('ZSTD_decompressDCtx', 'size_t', ['void *', ...buffers]),
  }));
  if (library === undefined) return undefined;
  const { set, compress, decompress } = library;
  const compressContext = lazyContext(library.createCompress, library.freeCompress);
  /** What the context is set to; it keeps its parameters from frame to frame. */
  let active: CompressionSettings | undefined;
  const decompressContext = lazyContext(library.createDecompress, library.freeDecompress);
  return {
    compress(source, target, settings) {
      const context = compressContext();
      if (settings !== active) {
        applySettings((id, value) => set(context, id, value), settings);
        active = settings;
      }
      const result = compress(context, target, target.length, source, source.length);
      const size = sizeFrom(result);
      assert(size !== undefined && size <= target.length, 'zstd compresses');
      return size;
    },
    decompress(source, target) {
      const context = decompressContext();
      const size = sizeFrom(decompress(context, target, target.length, source, source.length));
      if (size === undefined) throw new HoldfastError('COMPRESSION_BROKEN');
      assert(size <= target.length, 'zstd stays within its target');
      return size;
    },
  };
}

function applySettings(
  set: (id: number, value: number) => number | bigint | null,
  { level, minMatch = 0, hashLog = 0, chainLog = 0 }: CompressionSettings,
): void {
  const values = { level, minMatch, hashLog, chainLog };
  for (const name of ['level', 'hashLog', 'chainLog', 'minMatch'] as const) {
    const result = set(parameter[name], values[name]);
    assert(sizeFrom(result) !== undefined, 'zstd takes its parameters');
  }
}

/** A context that is made when first used and freed when the thread ends. */
function lazyContext(create: NativeFunction, free: NativeFunction): () => NativePointer {
  let context: NativePointer | undefined;
  return () => {
    if (context !== undefined) return context;
    const created = pointerFrom(create(), 'a zstd context');
    releaseAtExit(() => free(created));
    context = created;
    return created;
  };
}

/** A size, or undefined for an error code: those are the highest values of `size_t`. */
function sizeFrom(result: number | bigint | null): number | undefined {
  return typeof result === 'number' ? result : undefined;
}
