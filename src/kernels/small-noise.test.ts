import { describe, expect, it } from 'vitest';
import { isSmallNoise, smallNoiseBytesMax, smallNoiseBytesMin } from './small-noise.ts';
import { compressBound, Compressor } from './zstd.ts';

/** Bytes below `values`, by xorshift32: the same in every run. */
function noiseFrom(seed: number): (size: number, values: number) => Uint8Array {
  let state = seed;
  return (size, values) =>
    Uint8Array.from({ length: size }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return ((state >>> 0) / 2 ** 32) * values;
    });
}

const sizes = [smallNoiseBytesMin, 100, 200, 300, smallNoiseBytesMax];
const tries = 200;

describe('isSmallNoise', () => {
  it('knows noise', () => {
    const noise = noiseFrom(1);
    for (const size of [200, 300, smallNoiseBytesMax]) {
      const known = Array.from({ length: tries }, () => isSmallNoise(noise(size, 256)));
      expect(known.filter(Boolean).length).toBeGreaterThan(0.95 * tries);
    }
  });

  it('is never true for what a frame makes smaller', () => {
    const noise = noiseFrom(2);
    const compressor = new Compressor('auto');
    const frame = new Uint8Array(compressBound(smallNoiseBytesMax));
    let found = 0;
    for (const size of sizes) {
      for (const values of [256, 230, 200, 170, 130, 90, 40, 8]) {
        for (let i = 0; i < tries; i++) {
          const bytes = noise(size, values);
          // Every other one repeats a part of itself.
          const repeated = Math.floor((i * size) / (4 * tries));
          if (i % 2 === 1) bytes.copyWithin(size - repeated, 0, repeated);
          if (!isSmallNoise(bytes)) continue;
          found++;
          expect(compressor.compress(bytes, frame)).toBeGreaterThanOrEqual(size);
        }
      }
    }
    expect(found).toBeGreaterThan(1000);
  });

  it.each([
    ['text', Buffer.from('the quick brown fox jumps over the lazy dog, '.repeat(5))],
    ['zeros', new Uint8Array(200)],
    ['numbers', Uint8Array.from({ length: 400 }, (_, i) => (i % 4 === 0 ? i >> 2 : 0))],
    ['base64', Buffer.from(Buffer.from(noiseFrom(3)(200, 256)).toString('base64'))],
    ['less than is judged', noiseFrom(4)(smallNoiseBytesMin - 1, 256)],
    ['more than is judged', noiseFrom(5)(smallNoiseBytesMax + 1, 256)],
    ['nothing', new Uint8Array()],
  ])('leaves %s to the compressor', (_, bytes) => {
    expect(isSmallNoise(bytes)).toBe(false);
  });
});
