import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';

import { Compressor } from '../kernels/zstd.ts';
import { BlobScratch } from './blob-scratch.ts';
import { CompressionGuess } from './compression-guess.ts';
import { contentOf } from './index-test-support.ts';

const sizeBytes = 1 << 20;

/** Bytes without any pattern, the same in every run. */
function noise(size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size; at += 32) {
    const part = createHash('sha256').update(`noise ${at}`).digest();
    bytes.set(part.subarray(0, Math.min(32, size - at)), at);
  }
  return bytes;
}

function isWorthwhile(plain: Uint8Array): boolean {
  const guess = new CompressionGuess(new Compressor('auto'));
  return guess.isWorthwhile(plain, new BlobScratch(1 << 21));
}

describe('whether a blob is worth compressing', () => {
  it('is denied for noise', () => {
    expect(isWorthwhile(noise(sizeBytes))).toBe(false);
    expect(isWorthwhile(noise(300_001))).toBe(false);
  });

  it('is granted for text', () => {
    expect(isWorthwhile(contentOf(1, sizeBytes))).toBe(true);
  });

  it('is granted for small blobs without a look', () => {
    expect(isWorthwhile(noise(200_000))).toBe(true);
  });

  it.each([0, 0.3, 0.5, 0.85])('is granted for noise with a tenth of zeros at %d', (share) => {
    const mixed = noise(sizeBytes);
    mixed.fill(0, share * sizeBytes, (share + 0.1) * sizeBytes);
    expect(isWorthwhile(mixed)).toBe(true);
  });
});
