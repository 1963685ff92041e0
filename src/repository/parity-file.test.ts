import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toHex } from '../base/bytes.ts';
import { contentOf, flipBit, hashOf } from './index-test-support.ts';
import {
  damagedParityCount,
  decodeParityFile,
  encodeParityFile,
  healPack,
  parityFileSizeBytes,
  parityShape,
} from './parity-file.ts';

function made(
  sizeBytes: number,
  percent: number,
): { readonly id: string; readonly pack: Uint8Array; readonly file: Uint8Array<ArrayBuffer> } {
  const pack = contentOf(sizeBytes, sizeBytes);
  const id = toHex(hashOf(pack));
  return { id, pack, file: encodeParityFile(id, pack, percent) };
}

function heal(id: string, pack: Uint8Array, file: Uint8Array): Uint8Array | undefined {
  return healPack(decodeParityFile(id, file), pack).healed;
}

/** What may happen to a file, to its share `[from, to)` of 1000. */
const damages = {
  flip: (bytes: Uint8Array, from: number): Uint8Array => {
    flipBit(bytes, Math.floor((from / 1000) * (bytes.byteLength - 1)) * 8);
    return bytes;
  },
  zero: (bytes: Uint8Array, from: number, to: number): Uint8Array => {
    const at = (share: number): number => Math.floor((share / 1000) * bytes.byteLength);
    return bytes.fill(0, at(from), at(to));
  },
  truncate: (bytes: Uint8Array, from: number, to: number): Uint8Array =>
    bytes.slice(0, bytes.byteLength - Math.floor(((to - from) / 1000) * bytes.byteLength)),
  grow: (bytes: Uint8Array): Uint8Array => Buffer.concat([bytes, Buffer.from('more')]),
} as const;

/** Damages a pack and heals it. */
function healsUpToShare(
  [sizeBytes, percent]: readonly [number, number],
  [from, to]: readonly [number, number],
  damage: (bytes: Uint8Array, from: number, to: number) => Uint8Array,
): void {
  const { id, pack, file } = made(sizeBytes, percent);
  const [a, b] = from < to ? [from, to] : [to, from];
  const damaged = damage(pack.slice(), a, b);
  const { shape } = decodeParityFile(id, file);
  const { healed, lostBlockCount, parityBlockCount } = healPack(
    decodeParityFile(id, file),
    damaged,
  );
  expect(parityBlockCount).toBe(shape.parityCount);
  if (lostBlockCount <= parityBlockCount) expect(healed).toEqual(pack);
  else expect(healed).toBeUndefined();
  // Within the share, but for the blocks at both ends of the damage.
  const lostBytes = ((b - a) / 1000) * sizeBytes + 2 * shape.blockSizeBytes;
  if (lostBytes <= (percent / 100) * sizeBytes) expect(healed).toEqual(pack);
}

describe('a parity file', () => {
  test('has about the size that was asked for, of packs of every size', () => {
    for (const sizeBytes of [73, 1000, 20_000, 1 << 20, 16 << 20, 128 << 20, 2 ** 32 - 1]) {
      const { dataCount, parityCount, blockSizeBytes } = parityShape(sizeBytes, 10);
      expect(dataCount * blockSizeBytes).toBeGreaterThanOrEqual(sizeBytes);
      expect(parityCount / dataCount).toBeGreaterThanOrEqual(0.1);
      const share = parityFileSizeBytes(sizeBytes, 10) / sizeBytes;
      if (sizeBytes >= 20_000) expect(share).toBeLessThan(0.3);
      if (sizeBytes >= 1 << 20) expect(share).toBeLessThan(0.11);
    }
  });

  test('is the same for the same pack', () => {
    const { id, pack, file } = made(5000, 20);
    expect(encodeParityFile(id, pack, 20)).toEqual(file);
    expect(file.byteLength).toBe(parityFileSizeBytes(5000, 20));
  });

  test('heals any damage up to its share, byte for byte', () => {
    const sizes = fc.tuple(fc.integer({ min: 73, max: 40_000 }), fc.integer({ min: 1, max: 100 }));
    const places = fc.tuple(fc.nat(999), fc.nat(999));
    const kinds = fc.constantFrom(...Object.values(damages));
    const cases = fc.property(sizes, places, kinds, healsUpToShare);
    fc.assert(cases, { seed: 1, numRuns: 100 });
  });

  test('heals a pack of usual size with blocks of 4 KiB lost all over it', () => {
    const { id, pack, file } = made(4 << 20, 5);
    const damaged = pack.slice();
    for (let block = 0; block < 51; block++) damaged.fill(0, block * 81_920, block * 81_920 + 4096);
    expect(heal(id, damaged, file)).toEqual(pack);
    damaged.fill(0, 4096 * 3, 4096 * 8);
    expect(heal(id, damaged, file)).toBeUndefined();
  });

  test('heals though it is damaged itself', () => {
    const { id, pack, file } = made(20_000, 20);
    const damaged = damages.zero(pack.slice(), 100, 150);
    const kinds = [
      damages.zero(file.slice(), 0, 60),
      damages.zero(file.slice(), 940, 1000),
      damages.zero(file.slice(), 500, 560),
      damages.truncate(file.slice(), 0, 200),
    ];
    for (const broken of kinds) expect(heal(id, damaged, broken)).toEqual(pack);
    expect(damagedParityCount(decodeParityFile(id, file))).toBe(0);
    const inside = decodeParityFile(id, damages.zero(file.slice(), 500, 560));
    expect(damagedParityCount(inside)).toBeGreaterThan(0);
  });

  test('takes no memory for a pack that its head makes up', () => {
    const { id, pack, file } = made(20_000, 20);
    const announce = (
      packSizeBytes: number,
      blockSizeBytes: number,
      parityCount: number,
    ): Uint8Array => {
      const forged = file.slice();
      const view = new DataView(forged.buffer);
      const dataCount = Math.ceil(packSizeBytes / blockSizeBytes);
      for (const [nth, value] of [packSizeBytes, blockSizeBytes, dataCount, parityCount].entries())
        view.setUint32(48 + 4 * nth, value, true);
      forged.set(hashOf(forged.subarray(0, 64)), 64);
      return forged;
    };
    const huge = announce(0xffff_ffff, 1 << 20, 2048);
    expect(() => decodeParityFile(id, huge)).toThrow(
      expect.objectContaining({ code: 'PARITY_DAMAGED' }),
    );
    // 4 GiB of pack and one block of parity: the pack that is there is far too short to be healed.
    const lean = decodeParityFile(id, announce(0xffff_ffff, 1 << 20, 1));
    expect(healPack(lean, pack)).toMatchObject({ healed: undefined, lostBlockCount: 4095 });
  });

  test('never gives another pack, whatever stands in it', () => {
    const { id, pack, file } = made(3000, 30);
    fc.assert(
      fc.property(fc.nat(file.byteLength * 8 - 1), fc.nat(3000 * 8 - 1), (a, b) => {
        const [broken, damaged] = [file.slice(), pack.slice()];
        flipBit(broken, a);
        flipBit(damaged, b);
        const healed = heal(id, damaged, broken);
        expect(healed === undefined || Buffer.compare(healed, pack) === 0).toBe(true);
      }),
      { seed: 4, numRuns: 200 },
    );
    expect(() => decodeParityFile('a'.repeat(64), file)).toThrow(/parity/);
    expect(() => decodeParityFile(id, new Uint8Array(10))).toThrow(/parity/);
  });
});
