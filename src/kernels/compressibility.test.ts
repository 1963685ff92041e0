import { describe, expect, test } from 'vitest';
import { hasRepeats } from './compressibility.ts';
import { portableZstd } from './portable/zstd.ts';
import { compressBound, Compressor } from './zstd.ts';

const sizeBytes = 1 << 20;

/** Bytes without order, the same for a seed. */
function noise(seed: number, length = sizeBytes): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
    return (state ^ (state >>> 12)) >>> 24;
  });
}

/** Levels of the frames that are made to compress `bytes`, and the size of the result. */
function compressed(bytes: Uint8Array): { levels: number[]; share: number } {
  const levels: number[] = [];
  const watched: typeof portableZstd = {
    ...portableZstd,
    compress(source, target, settings) {
      levels.push(settings.level);
      // The thorough level is slow, and its result does not matter here.
      return portableZstd.compress(source, target, { level: Math.min(settings.level, 3) });
    },
  };
  const target = new Uint8Array(compressBound(bytes.length));
  const size = new Compressor('max', watched).compress(bytes, target);
  return { levels, share: size / bytes.length };
}

describe('what is compressed most thoroughly', () => {
  test('is not what nothing can compress', () => {
    expect(compressed(noise(1))).toEqual({ levels: [1], share: expect.closeTo(1, 3) });
    expect(compressed(noise(2, 100)).levels).toEqual([1]);
  });

  test('is what a fast level compresses', () => {
    const text = Buffer.from('some text that repeats itself\n'.repeat(30_000));
    expect(compressed(text).levels).toEqual([1, 19]);
  });

  test('is noise that comes twice, however far apart and aligned', () => {
    const bytes = noise(3);
    bytes.set(bytes.subarray(1_001, 21_000), 900_003);
    expect(hasRepeats(bytes, 1 / 128)).toBe(true);
    expect(compressed(bytes).levels).toEqual([1, 19]);
  });
});

describe('repeats', () => {
  test('are a share of the whole', () => {
    const bytes = noise(4);
    bytes.copyWithin(500_000, 0, 20_000);
    expect(hasRepeats(bytes, 1 / 64)).toBe(true);
    expect(hasRepeats(bytes, 1 / 32)).toBe(false);
    expect(hasRepeats(noise(5), 1 / 4096)).toBe(false);
  });

  test('are found in what is all the same', () => {
    expect(hasRepeats(new Uint8Array(1000), 0.9)).toBe(true);
    expect(hasRepeats(new Uint8Array(0), 0.5)).toBe(false);
  });
});
