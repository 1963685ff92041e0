import { constants, zstdCompressSync } from 'node:zlib';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, fromHex } from '../base/bytes.ts';
import { zstdContentBound } from './zstd-frames.ts';

function bytesOf(hex: string): Uint8Array {
  const bytes = fromHex(hex.replaceAll(' ', ''));
  if (bytes === undefined) throw new Error('this is not hex');
  return bytes;
}

function frameOf(content: Uint8Array, params: Record<number, number> = {}): Uint8Array {
  return zstdCompressSync(content, { params });
}

const unsized = { [constants.ZSTD_c_contentSizeFlag]: 0 };
const skippable = bytesOf('502a4d18 03000000 aabbcc');

describe('zstdContentBound', () => {
  it('is exact where the content size is declared', () => {
    for (const size of [0, 1, 255, 256, 65_791, 65_792, 3_000_000]) {
      const frame = frameOf(new Uint8Array(size));
      expect(zstdContentBound(frame)).toEqual({ sizeBytesMax: size, isExact: true });
    }
  });

  it('adds up frames and skips the skippable', () => {
    const one = frameOf(new Uint8Array(1_000));
    const two = frameOf(new Uint8Array(70_000).fill(3), { [constants.ZSTD_c_checksumFlag]: 1 });
    const bound = zstdContentBound(concatBytes([one, skippable, two, skippable]));
    expect(bound).toEqual({ sizeBytesMax: 71_000, isExact: true });
    expect(zstdContentBound(skippable).sizeBytesMax).toBe(0);
    const mixed = zstdContentBound(concatBytes([one, frameOf(new Uint8Array(10), unsized)]));
    expect(mixed.isExact).toBe(false);
  });

  it('is at least the content where no size is declared, and follows the blocks', () => {
    const property = fc.property(
      fc.uint8Array({ maxLength: 2_000 }),
      fc.nat(200),
      (unit, times) => {
        const content = concatBytes(Array.from({ length: times }, () => unit));
        const frame = frameOf(content, unsized);
        const bound = zstdContentBound(frame);
        expect(bound.isExact).toBe(false);
        expect(bound.sizeBytesMax).toBeGreaterThanOrEqual(content.length);
        expect(bound.sizeBytesMax).toBeLessThanOrEqual(content.length + 131_072);
      },
    );
    fc.assert(property, { numRuns: 50 });
  });

  it('believes a size that the blocks can give', () => {
    const frame = bytesOf('28b52ffd e0 0500000000000000 2b0000 61');
    expect(zstdContentBound(frame)).toEqual({ sizeBytesMax: 5, isExact: true });
  });

  it.each([
    ['nothing', '', 'there is no frame'],
    ['another format', '1f8b0800 00000000', 'this is not a frame'],
    ['a byte', '28', 'cut short'],
    ['a magic number', '28b52ffd', 'cut short'],
    ['no block', '28b52ffd 2000', 'cut short'],
    ['a raw block without its bytes', '28b52ffd 2003 190000 6162', 'cut short'],
    ['a repeated byte without it', '28b52ffd 2003 1b0000', 'cut short'],
    ['no last block', '28b52ffd 2003 180000 616263', 'cut short'],
    ['no checksum', '28b52ffd 2400 010000 0102', 'cut short'],
    ['a reserved block type', '28b52ffd 2003 1f0000 616263', 'reserved type'],
    ['a compressed block of no byte', '28b52ffd 0058 050000', 'a compressed block is empty'],
    ['a compressed block of one byte', '28b52ffd 0058 0d0000 00', 'a compressed block is empty'],
    ['a reserved bit', '28b52ffd 2803 190000 616263', 'reserved bit'],
    ['an empty block of 65 bytes', '28b52ffd 2041 010000', 'declares more'],
    ['an empty block of 2^62 bytes', '28b52ffd e0 0000000000000040 010000', 'declares more'],
    ['a dictionary', '28b52ffd 2107 03 190000 616263', 'dictionary'],
    ['a window of 2^27 and an eighth', '28b52ffd 0089 190000 616263', 'too large a window'],
    ['a window of 2^41', '28b52ffd 00ff 190000 616263', 'too large a window'],
    ['other bytes behind', '28b52ffd 2003 190000 616263 00', 'cut short'],
    ['other words behind', '28b52ffd 2003 190000 616263 01020304', 'this is not a frame'],
    ['a skippable frame cut short', '502a4d18 04000000 aabbcc', 'cut short'],
    ['a skippable frame of 4 GiB', '502a4d18 ffffffff aabbcc', 'cut short'],
  ])('refuses %s', (_, hex, message) => {
    expect(() => zstdContentBound(bytesOf(hex))).toThrow(message);
  });

  it('takes a window of 2^27 and dictionary number 0', () => {
    expect(zstdContentBound(bytesOf('28b52ffd 0088 190000 616263')).sizeBytesMax).toBe(3);
    expect(zstdContentBound(bytesOf('28b52ffd 2100 03 190000 616263')).sizeBytesMax).toBe(3);
  });

  it('answers or refuses any input', () => {
    const magic = fc.constant(bytesOf('28b52ffd'));
    const input = fc.tuple(magic, fc.uint8Array({ maxLength: 60 })).map(concatBytes);
    const property = fc.property(input, (bytes) => {
      try {
        expect(zstdContentBound(bytes).sizeBytesMax).toBeGreaterThanOrEqual(0);
      } catch (error) {
        expect(error).toMatchObject({ code: 'COMPRESSION_BROKEN' });
      }
    });
    fc.assert(property, { numRuns: 2_000 });
  });
});
