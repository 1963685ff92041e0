import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { bindNativeZstd, type ZstdKernel } from './native/zstd.ts';
import { portableZstd } from './portable/zstd.ts';
import {
  type CompressionMode,
  Compressor,
  compressBound,
  compressionSettings,
  Decompressor,
  decompressUnknown,
} from './zstd.ts';

const native = bindNativeZstd();
const kernels: [string, ZstdKernel][] = [['portable', portableZstd]];
if (native) kernels.push(['native', native]);
const modes = ['fastest', 'auto', 'better', 'max'] as const;

/** From noise to one repeated byte. */
const content = fc
  .tuple(fc.uint8Array({ maxLength: 3_000 }), fc.integer({ min: 0, max: 60 }))
  .map(([unit, times]) => concatBytes(Array.from({ length: times }, () => unit)));

function compress(bytes: Uint8Array, kernel: ZstdKernel, mode: (typeof modes)[number]): Uint8Array {
  const target = new Uint8Array(compressBound(bytes.length));
  return target.slice(0, new Compressor(mode, kernel).compress(bytes, target));
}

/** Runs `work` for each kernel; all must give the same result or the same error code. */
function sameOnAll<T>(work: (kernel: ZstdKernel) => T): T | string {
  const results = kernels.map(([, kernel]) => {
    try {
      return work(kernel);
    } catch (error) {
      return error instanceof HoldfastError ? error.code : error;
    }
  });
  for (const result of results) expect(result).toEqual(results[0]);
  return results[0] as T | string;
}

describe('Compressor', () => {
  it.runIf(process.platform === 'linux')('has a native kernel on Linux', () => {
    expect(native).toBeDefined();
  });

  it('writes frames that every kernel reads, with content size and without checksum', () => {
    const property = fc.property(content, fc.constantFrom(...modes), (bytes, mode) => {
      for (const [, writer] of kernels) {
        const frame = compress(bytes, writer, mode);
        expect(new Uint8Array(zstdDecompressSync(frame))).toEqual(bytes);
        const descriptor = frame[4] ?? 0;
        expect(descriptor & 4).toBe(0);
        expect(descriptor & 0b1110_0000).not.toBe(0);
        sameOnAll((reader) => {
          const target = new Uint8Array(bytes.length);
          expect(new Decompressor(reader).decompress(frame, target)).toBe(bytes.length);
          expect(target).toEqual(bytes);
        });
        expect(sameOnAll((reader) => decompressUnknown(frame, 1e6, reader))).toEqual(bytes);
      }
    });
    fc.assert(property, { numRuns: 60 });
  });

  it('writes the same frames natively and through node', () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * i) % 251);
    for (const mode of modes) {
      expect(sameOnAll((kernel) => compress(bytes, kernel, mode))).toBeInstanceOf(Uint8Array);
    }
    const sizes = modes.map((mode) => compress(bytes, portableZstd, mode).length);
    expect(sizes).toEqual(sizes.toSorted((a, b) => b - a));
    const named: Exclude<CompressionMode, 'off'>[] = [...modes];
    expect(Object.keys(compressionSettings).toSorted()).toEqual(named.toSorted());
  });

  it('holds its bound for noise, and refuses a target below it', () => {
    for (const size of [0, 1, 1_000, 131_072, 1_000_000]) {
      const noise = Uint8Array.from({ length: size }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 13);
      for (const [, kernel] of kernels) {
        const frame = compress(noise, kernel, 'fastest');
        expect(frame.length).toBeLessThanOrEqual(compressBound(size));
        const small = new Uint8Array(compressBound(size) - 1);
        expect(() => new Compressor('auto', kernel).compress(noise, small)).toThrow('room');
      }
    }
  });
});

describe('Decompressor', () => {
  it('never writes more than its target, whatever its size', () => {
    const property = fc.property(content, fc.nat(4_000), fc.boolean(), (bytes, less, hasSize) => {
      const params = { [constants.ZSTD_c_contentSizeFlag]: Number(hasSize) };
      const frame = zstdCompressSync(bytes, { params });
      const room = Math.max(0, bytes.length - less);
      sameOnAll((kernel) => {
        const buffer = new Uint8Array(bytes.length + 100).fill(0xee);
        const target = buffer.subarray(50, 50 + room);
        try {
          return new Decompressor(kernel).decompress(frame, target);
        } finally {
          expect(buffer.subarray(0, 50).every((byte) => byte === 0xee)).toBe(true);
          expect(buffer.subarray(50 + room).every((byte) => byte === 0xee)).toBe(true);
        }
      });
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('reads several frames, skippable ones, unknown sizes, checksums and long windows', () => {
    const params = [
      { [constants.ZSTD_c_contentSizeFlag]: 0 },
      { [constants.ZSTD_c_checksumFlag]: 1 },
      { [constants.ZSTD_c_windowLog]: 27, [constants.ZSTD_c_enableLongDistanceMatching]: 1 },
      { [constants.ZSTD_c_compressionLevel]: 19 },
    ];
    const parts = params.map((_, i) => new Uint8Array(10_000 * i + 1).fill(i));
    const skippable = new Uint8Array([0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]);
    const frames = parts.map((part, i) => zstdCompressSync(part, { params: params[i] ?? {} }));
    const source = concatBytes([skippable, ...frames, skippable]);
    const whole = concatBytes(parts);
    expect(sameOnAll((kernel) => decompressUnknown(source, 1e6, kernel))).toEqual(whole);
    sameOnAll((kernel) => {
      const target = new Uint8Array(whole.length + 7);
      expect(new Decompressor(kernel).decompress(source, target)).toBe(whole.length);
      expect(target.subarray(0, whole.length)).toEqual(whole);
    });
  });

  it('stops a bomb at its limit', () => {
    // 64 MiB of zeros are 2 kB.
    const frame = zstdCompressSync(new Uint8Array(2 ** 26));
    const nested = concatBytes([frame, frame, frame]);
    expect(frame.length).toBeLessThan(7_000);
    for (const source of [frame, nested]) {
      expect(sameOnAll((kernel) => decompressUnknown(source, 2 ** 20, kernel))).toBe(
        'COMPRESSION_BROKEN',
      );
      sameOnAll((kernel) => {
        const target = new Uint8Array(1_000);
        expect(() => new Decompressor(kernel).decompress(source, target)).toThrow(HoldfastError);
      });
    }
  });

  it('refuses what is no frame', () => {
    const frame = compress(new Uint8Array(500).fill(7), portableZstd, 'auto');
    const broken = [
      new Uint8Array(0),
      new Uint8Array(100),
      frame.subarray(0, -1),
      frame.subarray(1),
      concatBytes([frame, new Uint8Array([0])]),
      concatBytes([frame, frame.subarray(0, 8)]),
    ];
    for (const source of broken) {
      expect(sameOnAll((kernel) => decompressUnknown(source, 1e6, kernel))).toBe(
        'COMPRESSION_BROKEN',
      );
      sameOnAll((kernel) => {
        const target = new Uint8Array(1_000);
        expect(() => new Decompressor(kernel).decompress(source, target)).toThrow(HoldfastError);
      });
    }
  });

  it('gives the same on every kernel for mutated frames', () => {
    const change = fc.record({ at: fc.nat(), to: fc.nat(255) });
    const changes = fc.array(change, { minLength: 1, maxLength: 4 });
    const property = fc.property(content, changes, fc.boolean(), (bytes, edits, hasSize) => {
      const params = { [constants.ZSTD_c_contentSizeFlag]: Number(hasSize) };
      const frame = new Uint8Array(zstdCompressSync(bytes, { params }));
      for (const { at, to } of edits) frame[at % frame.length] = to;
      sameOnAll((kernel) => decompressUnknown(frame, 300_000, kernel));
    });
    fc.assert(property, { numRuns: 1_500 });
  });

  it('works in memory that is shared or belongs to WebAssembly', () => {
    const source = new Uint8Array(new SharedArrayBuffer(2_000), 100, 1_000).fill(5);
    const frame = new Uint8Array(new SharedArrayBuffer(2_000), 3);
    const back = new Uint8Array(new SharedArrayBuffer(2_000), 200, 1_000);
    for (const [, kernel] of kernels) {
      const size = new Compressor('auto', kernel).compress(source, frame);
      expect(new Decompressor(kernel).decompress(frame.subarray(0, size), back.fill(0))).toBe(
        1_000,
      );
      expect(back.every((byte) => byte === 5)).toBe(true);
    }
  });
});
