import { zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  Compressor,
  compressBound,
  Decompressor,
  decompressUnknown,
} from '../../src/kernels/zstd.ts';
import { openBlob } from '../../src/repository/blob-open.ts';
import { hashOf, testRepository } from '../../src/repository/index-test-support.ts';
import { documentSizeBytesMax, openDocument } from '../../src/repository/unpacked.ts';
import { AllocationMeter } from '../fuzz/allocation-meter.ts';
import { codeOf, isLong } from './bed.ts';

/** Hazard D6: little that decompresses to much costs no more than what was declared and allowed. */

const { sealer } = testRepository();
const decompressor = new Decompressor();
const meter = new AllocationMeter();
meter.install();

/** A frame of run-length blocks of 128 KiB each, 4 bytes apiece, without a declared size: 32,768 to 1. */
function bomb(blockCount: number, window = 0x38): Uint8Array {
  const size = 128 * 1024;
  const blocks = Array.from({ length: blockCount }, (_, i) => {
    const header = (size << 3) | 2 | Number(i === blockCount - 1);
    return Buffer.of(header & 255, (header >> 8) & 255, header >> 16, 0);
  });
  return Buffer.concat([Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0, window), ...blocks]);
}

/** What an action allocates in arrays, at most. */
async function allocated(
  action: () => unknown,
): Promise<{ readonly code: string; readonly bytes: number }> {
  meter.reset();
  const code = await codeOf(action);
  return { code, bytes: meter.allocatedBytes };
}

describe('a blob that decompresses to', () => {
  const gigabyte = bomb(8192);

  test.each([1, 1000, 64 << 20])(
    'a gigabyte where %i bytes are declared is damaged',
    async (uncompressedLength) => {
      const sealed = sealer.seal(gigabyte);
      const blob = { type: 'data', id: hashOf(sealed), uncompressedLength } as const;
      const { code, bytes } = await allocated(() =>
        openBlob(sealed, blob, { sealer, decompressor }),
      );
      expect(code).toBe('BLOB_DAMAGED');
      expect(bytes).toBeLessThanOrEqual(uncompressedLength + 2 * gigabyte.length + 4096);
    },
  );

  test('more than any blob has is refused before anything is allocated', async () => {
    const sealed = sealer.seal(gigabyte);
    for (const [type, uncompressedLength] of [
      ['data', (64 << 20) + 1],
      ['data', 2 ** 32 - 1],
      ['tree', 2 ** 30 + 1],
    ] as const) {
      const blob = { type, id: hashOf(sealed), uncompressedLength };
      const { code, bytes } = await allocated(() =>
        openBlob(sealed, blob, { sealer, decompressor }),
      );
      expect([code, bytes < 4096]).toEqual(['BLOB_DAMAGED', true]);
    }
  });

  test('less or more than declared is damaged, the right length is not', async () => {
    const plain = Buffer.from('some content, some content, some content');
    const sealed = sealer.seal(zstdCompressSync(plain));
    const open = (uncompressedLength: number): Promise<string> =>
      codeOf(() =>
        openBlob(
          sealed,
          { type: 'data', id: hashOf(plain), uncompressedLength },
          { sealer, decompressor },
        ),
      );
    expect(await open(plain.length)).toBe('none');
    for (const wrong of [1, plain.length - 1, plain.length + 1, 2 * plain.length]) {
      expect(await open(wrong)).toBe('BLOB_DAMAGED');
    }
  });

  test('another bomb is that bomb: nothing decompresses twice', () => {
    const inner = bomb(100);
    const target = new Uint8Array(compressBound(inner.length));
    const outer = target.slice(0, new Compressor('auto').compress(inner, target));
    const plain = new Uint8Array(inner.length);
    expect(decompressor.decompress(outer, plain)).toBe(inner.length);
    expect(Buffer.from(plain).equals(inner)).toBe(true);
  });
});

describe('a window', () => {
  // 2^(10 + exponent): 2^31 is what `--long=31` writes.
  test.each([18, 20, 21, 31])(
    'of 2^(10+%i) bytes is refused before it is allocated',
    async (exponent) => {
      const frame = bomb(1, exponent << 3);
      const { code, bytes } = await allocated(() => decompressUnknown(frame, 1 << 20));
      expect(code).toBe('COMPRESSION_BROKEN');
      expect(bytes).toBeLessThan(4096);
    },
  );

  test('beyond 32 bits in a frame of one segment is refused as well', async () => {
    const frame = Buffer.concat([
      Buffer.of(0x28, 0xb5, 0x2f, 0xfd, 0xe0),
      Buffer.alloc(8, 0xff),
      bomb(1).subarray(6),
    ]);
    const { code, bytes } = await allocated(() => decompressUnknown(frame, 1 << 20));
    expect([code, bytes < 4096]).toEqual(['COMPRESSION_BROKEN', true]);
  });
});

const compressor = (): Compressor => new Compressor('auto');

describe('an unpacked file', () => {
  test('that decompresses beyond its limit is refused, and costs no more than the limit', async () => {
    for (const frame of [bomb(9), bomb(8192), Buffer.concat([bomb(5), bomb(5)])]) {
      const sealed = sealer.seal(Buffer.concat([Buffer.of(2), frame]));
      const tools = { version: 2, sealer, compressor } as const;
      const { code, bytes } = await allocated(() => openDocument(tools, 'lock', sealed));
      expect(code).toBe('COMPRESSION_BROKEN');
      expect(bytes).toBeLessThanOrEqual(documentSizeBytesMax.lock + 3 * sealed.length);
    }
  });

  test.runIf(isLong)('of each type has its limit', async () => {
    for (const type of ['index', 'snapshot', 'lock'] as const) {
      const limit = documentSizeBytesMax[type];
      const sealed = sealer.seal(Buffer.concat([Buffer.of(2), bomb(limit / (128 * 1024) + 1)]));
      const tools = { version: 2, sealer, compressor } as const;
      const { code, bytes } = await allocated(() => openDocument(tools, type, sealed));
      expect(code).toBe('COMPRESSION_BROKEN');
      expect(bytes).toBeLessThanOrEqual(limit + 3 * sealed.length);
    }
  });
});
