import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { HoldfastError } from '../base/errors.ts';
import { systemRandom } from '../base/random.ts';
import { Sealer } from '../kernels/seal.ts';
import type { PackedBlob } from './blob.ts';
import { flipBit, idOf, testKey } from './index-test-support.ts';
import {
  decodePackHeader,
  encodePackHeader,
  isHeaderOf,
  packSizeOf,
  readPackedBlobs,
  readPackHeader,
} from './pack-header.ts';
import { PackedBlobs } from './pack.ts';

const sealer = new Sealer(testKey, systemRandom);
const damaged: unknown = expect.objectContaining({ code: 'PACK_DAMAGED' });

const blobList = fc
  .array(
    fc.record({
      type: fc.constantFrom<('data' | 'tree')[]>('data', 'tree'),
      length: fc.integer({ min: 32, max: 500 }),
      uncompressedLength: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 2 ** 32 - 1 })),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((items) => {
    let offset = 0;
    return items.map((item, i): PackedBlob => {
      offset += item.length;
      return { ...item, id: idOf(i), offset: offset - item.length };
    });
  });

/** A pack with this plain header and zeros for blobs. */
function packWith(header: Uint8Array, blobsSizeBytes: number): Uint8Array {
  const sealed = sealer.seal(header);
  const pack = new Uint8Array(blobsSizeBytes + sealed.length + 4);
  pack.set(sealed, blobsSizeBytes);
  new DataView(pack.buffer).setUint32(pack.length - 4, sealed.length, true);
  return pack;
}

function headerOf(blobs: readonly PackedBlob[]): Uint8Array {
  const target = new Uint8Array(blobs.length * 41);
  return target.slice(0, encodePackHeader(PackedBlobs.from(blobs), target));
}

function sizeOf(blobs: readonly PackedBlob[]): number {
  return blobs.reduce((sum, { length }) => sum + length, 0);
}

/** Reads from memory, counting. */
function readerOf(pack: Uint8Array): {
  get: (range: { start: number; end: number }) => Promise<Uint8Array>;
  ranges: [number, number][];
} {
  const ranges: [number, number][] = [];
  return {
    ranges,
    get: async ({ start, end }) => {
      ranges.push([start, end]);
      return pack.slice(start, end);
    },
  };
}

describe('pack header', () => {
  it('that was sealed is told from every other', () => {
    const blobs = Array.from({ length: 2500 }, (_, i): PackedBlob => {
      const type = i % 7 === 0 ? 'tree' : 'data';
      return { type, id: idOf(i), offset: 40 * i, length: 40, uncompressedLength: i % 3 };
    });
    const packed = PackedBlobs.from(blobs);
    const header = headerOf(blobs);
    expect(isHeaderOf(packed, sealer.seal(header), sealer)).toBe(true);
    const fewer = PackedBlobs.from(blobs.slice(1));
    expect(isHeaderOf(fewer, sealer.seal(header), sealer)).toBe(false);
    for (const size of [0, 1024 * 37, header.length - 37, header.length - 1]) {
      expect(isHeaderOf(packed, sealer.seal(header.subarray(0, size)), sealer)).toBe(false);
    }
    expect(isHeaderOf(packed, sealer.seal(Buffer.concat([header, header])), sealer)).toBe(false);
    for (const at of [0, 5, 1024 * 39, header.length - 1]) {
      const changed = header.slice();
      flipBit(changed, 8 * at);
      expect(isHeaderOf(packed, sealer.seal(changed), sealer)).toBe(false);
    }
    const broken = sealer.seal(header);
    flipBit(broken, 8 * 40);
    expect(() => isHeaderOf(packed, broken, sealer)).toThrow('does not authenticate');
  });

  it('has the bytes of the format', () => {
    const header = headerOf([
      { type: 'data', id: idOf(1), offset: 0, length: 0x0201, uncompressedLength: 0 },
      { type: 'tree', id: idOf(2), offset: 513, length: 33, uncompressedLength: 0x04030201 },
    ]);
    expect(header.length).toBe(37 + 41);
    expect([...header.subarray(0, 5)]).toEqual([0, 1, 2, 0, 0]);
    expect(header.subarray(5, 37)).toEqual(idOf(1));
    expect([...header.subarray(37, 46)]).toEqual([3, 33, 0, 0, 0, 1, 2, 3, 4]);
    expect(header.subarray(46)).toEqual(idOf(2));
  });

  it('comes back as it was, with one read for few blobs and two for many', async () => {
    await fc.assert(
      fc.asyncProperty(blobList, async (blobs) => {
        const pack = packWith(headerOf(blobs), sizeOf(blobs));
        expect(pack.length).toBe(packSizeOf(blobs));
        const { get, ranges } = readerOf(pack);
        expect(await readPackHeader(get, pack.length, sealer)).toEqual(blobs);
        expect(ranges.length).toBe(headerOf(blobs).length + 36 <= 651 ? 1 : 2);
        expect([...readPackedBlobs(pack, sealer).iterate()]).toEqual(blobs);
      }),
      { numRuns: 50 },
    );
  });

  it.each([
    ['an unknown type', (h: Uint8Array) => h.with(0, 4)],
    ['type 255', (h: Uint8Array) => h.with(0, 255)],
    ['another entry size', (h: Uint8Array) => h.with(0, 2)],
    ['an entry cut short', (h: Uint8Array) => h.subarray(0, h.length - 1)],
    ['a single byte', () => new Uint8Array(1)],
    ['a blob too short', (h: Uint8Array) => h.with(1, 31)],
    ['a blob too long', (h: Uint8Array) => h.with(1, 101)],
    ['less than the file', (h: Uint8Array) => h.with(1, 99)],
    ['a length of 4 GiB', (h: Uint8Array) => h.with(4, 255)],
    ['no entry', () => new Uint8Array(0)],
    [
      'an empty compressed blob',
      (h: Uint8Array) => Uint8Array.of(2, 100, 0, 0, 0, 0, 0, 0, 0, ...h.subarray(5, 37)),
    ],
    ['two times the same range', (h: Uint8Array) => Uint8Array.of(...h, ...h)],
  ])('refuses %s', (_, change) => {
    const blob: PackedBlob = {
      type: 'data',
      id: idOf(1),
      offset: 0,
      length: 100,
      uncompressedLength: 0,
    };
    const header = headerOf([blob]);
    expect(decodePackHeader(header, 100).count).toBe(1);
    const changed = change(header);
    expect(() => decodePackHeader(changed, 100)).toThrow(damaged);
    expect(() => readPackedBlobs(packWith(changed, 100), sealer)).toThrow(damaged);
  });

  it.each([0, 1, 31, 32, 74, 1000, (16 << 20) + 1, 2 ** 31, 2 ** 32 - 1])(
    'refuses a header length of %i',
    async (length) => {
      const blob: PackedBlob = {
        type: 'data',
        id: idOf(1),
        offset: 0,
        length: 100,
        uncompressedLength: 0,
      };
      const pack = packWith(headerOf([blob]), 100);
      new DataView(pack.buffer).setUint32(pack.length - 4, length, true);
      expect(() => readPackedBlobs(pack, sealer)).toThrow(damaged);
      await expect(readPackHeader(readerOf(pack).get, pack.length, sealer)).rejects.toThrow(
        damaged,
      );
    },
  );

  it('refuses files too short, without reading past them', async () => {
    for (const size of [0, 1, 4, 36, 72]) {
      const { get } = readerOf(new Uint8Array(size));
      await expect(readPackHeader(get, size, sealer)).rejects.toThrow(damaged);
      expect(() => readPackedBlobs(new Uint8Array(size), sealer)).toThrow(damaged);
    }
  });

  it('asks for no more than the header of a huge sparse file', async () => {
    const sizeBytes = 2 ** 32;
    const ranges: number[] = [];
    const get = async (range: { start: number; end: number }): Promise<Uint8Array> => {
      ranges.push(range.end - range.start);
      const bytes = new Uint8Array(range.end - range.start);
      new DataView(bytes.buffer).setUint32(bytes.length - 4, 16 << 20, true);
      return bytes;
    };
    await expect(readPackHeader(get, sizeBytes, sealer)).rejects.toThrow(damaged);
    expect(ranges).toEqual([651, 16 << 20]);
  });

  it('gives PACK_DAMAGED or blobs within the file for any mutation', () => {
    fc.assert(
      fc.property(blobList, fc.nat(), fc.nat(255), fc.nat(), (blobs, at, value, cut) => {
        const header = headerOf(blobs);
        const mutated = header.with(at % header.length, value);
        for (const bytes of [mutated, header.subarray(0, cut % header.length)]) {
          try {
            const decoded = [...decodePackHeader(bytes, sizeOf(blobs)).iterate()];
            expect(sizeOf(decoded)).toBe(sizeOf(blobs));
          } catch (error) {
            expect(error).toBeInstanceOf(HoldfastError);
            expect(error).toEqual(damaged);
          }
        }
      }),
    );
  });
});
