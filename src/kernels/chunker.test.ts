import { createCipheriv, hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, toHex } from '../base/bytes.ts';
import { ChunkScanner, chunkSizeBytesMax, chunkSizeBytesMin } from './chunker.ts';
import {
  ReferenceFingerprint,
  referenceCuts,
  referenceFirstCandidate,
} from './chunker-reference.ts';
import { parsePolynomial, type Polynomial } from './polynomial.ts';
import { sha256 } from './sha256.ts';

type Part =
  | { readonly gen: 'aes-ctr'; readonly seed: string; readonly length: number }
  | { readonly gen: 'xorshift32'; readonly seed: number; readonly length: number }
  | { readonly gen: 'fill'; readonly byte: number; readonly length: number };

interface Vectors {
  readonly cases: readonly {
    readonly name: string;
    readonly polynomial: string;
    readonly input: readonly Part[];
    readonly inputSha256: string;
    readonly chunks: readonly { length: number; cut: string | null; sha256: string }[];
  }[];
}

const { cases }: Vectors = JSON.parse(
  readFileSync(new URL('./fixtures/chunker.json', import.meta.url), 'utf8'),
);
const polynomialA = parsePolynomial('31a1ec5d60e3c9');
const polynomialB = parsePolynomial('2c4a026d3141e7');

function generate(part: Part): Uint8Array {
  const bytes = new Uint8Array(part.length);
  if (part.gen === 'fill') return bytes.fill(part.byte);
  if (part.gen === 'aes-ctr') return keystream(part.seed, part.length);
  let x = part.seed;
  for (let i = 0; i < bytes.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    bytes[i] = x & 255;
  }
  return bytes;
}

function keystream(seed: string, length: number): Uint8Array {
  const cipher = createCipheriv('aes-256-ctr', hash('sha256', seed, 'buffer'), new Uint8Array(16));
  return new Uint8Array(cipher.update(new Uint8Array(length)));
}

function scannerOf(bytes: Uint8Array, polynomial: Polynomial): ChunkScanner {
  const scanner = new ChunkScanner(polynomial, Math.max(1, bytes.length));
  scanner.buffer.set(bytes);
  return scanner;
}

function cutsOf(bytes: Uint8Array, polynomial: Polynomial): number[] {
  const scanner = scannerOf(bytes, polynomial);
  const cuts: number[] = [];
  for (let start = 0; start < bytes.length; ) {
    start = scanner.nextCut(start, bytes.length, true);
    cuts.push(start);
  }
  return cuts;
}

/** Bytes whose candidates are many and placed by chance: random with runs of zeros, each a row of candidates. */
const bytesWithRuns = fc
  .tuple(
    fc.integer({ min: 64, max: 200_000 }),
    fc.integer(),
    fc.array(fc.tuple(fc.nat(199_999), fc.integer({ min: 1, max: 300 })), { maxLength: 12 }),
  )
  .map(([length, seed, runs]) => {
    const bytes = keystream(`runs ${seed}`, length);
    for (const [start, size] of runs) bytes.fill(0, start % length, (start % length) + size);
    return bytes;
  });

describe('chunk vectors', () => {
  it.each(cases)('$name', ({ polynomial, input, inputSha256, chunks }) => {
    const bytes = concatBytes(input.map(generate));
    expect(toHex(sha256(bytes))).toBe(inputSha256);
    const ends = chunks.map((_, i) => chunks.slice(0, i + 1).reduce((n, c) => n + c.length, 0));
    expect(cutsOf(bytes, parsePolynomial(polynomial))).toEqual(ends);
    expect(referenceCuts(bytes, parsePolynomial(polynomial))).toEqual(ends);
    for (const [i, { length, cut, sha256: digest }] of chunks.entries()) {
      const chunk = bytes.subarray((ends[i] ?? 0) - length, ends[i]);
      expect(toHex(sha256(chunk))).toBe(digest);
      if (cut !== null) {
        const fingerprint = new ReferenceFingerprint(parsePolynomial(polynomial));
        for (const byte of chunk.subarray(length - 64)) fingerprint.roll(byte, 0);
        expect(fingerprint.toString()).toBe(cut);
      }
    }
  });
});

describe('ChunkScanner.firstCandidate', () => {
  it('equals the reference on any range', () => {
    fc.assert(
      fc.property(bytesWithRuns, fc.nat(), fc.nat(), fc.boolean(), (bytes, a, b, isB) => {
        const polynomial = isB ? polynomialB : polynomialA;
        const from = 64 + (a % (bytes.length - 63));
        const to = 63 + (b % (bytes.length - 62));
        const expected = referenceFirstCandidate(bytes, polynomial, { from, to });
        expect(scannerOf(bytes, polynomial).firstCandidate(from, to)).toBe(expected);
      }),
      { numRuns: 150 },
    );
  });

  it('finds the smallest of candidates in several lanes', () => {
    // Four lanes of 5184 positions are scanned at once: a later lane comes to its candidate first.
    const lane = 5_184;
    const bytes = keystream('lanes', 64 + 8 * lane);
    for (let first = 0; first < 7; first++) {
      for (let second = first + 1; second < 8; second++) {
        for (const [late, early] of [
          [lane - 1, 0],
          [3_001, 3_000],
          [2_001, 1_998],
          [5, 5],
        ] as const) {
          const spoilt = bytes.slice();
          const expected = 64 + first * lane + late;
          spoilt.fill(0, expected - 64, expected);
          spoilt.fill(0, second * lane + early, second * lane + early + 64);
          const scanner = scannerOf(spoilt, polynomialA);
          expect(scanner.firstCandidate(64, spoilt.length)).toBe(expected);
        }
      }
    }
  });

  it('steps through every candidate of zeros', () => {
    const scanner = scannerOf(new Uint8Array(2_000), polynomialA);
    for (let from = 64; from <= 2_000; from++) {
      expect(scanner.firstCandidate(from, 2_000)).toBe(from);
    }
    expect(scanner.firstCandidate(2_001, 2_000)).toBe(-1);
  });

  it('looks at nothing outside the range', () => {
    const bytes = new Uint8Array(3_000).fill(1, 0, 1_000).fill(1, 2_000);
    const scanner = scannerOf(bytes, polynomialA);
    expect(scanner.firstCandidate(64, 1_063)).toBe(-1);
    expect(scanner.firstCandidate(64, 1_064)).toBe(1_064);
    expect(scanner.firstCandidate(2_000, 3_000)).toBe(2_000);
    expect(scanner.firstCandidate(2_001, 3_000)).toBe(-1);
  });

  it('refuses ranges outside its buffer', () => {
    const scanner = new ChunkScanner(polynomialA, 1_000);
    expect(scanner.buffer.length).toBe(1_000);
    expect(() => scanner.firstCandidate(63, 100)).toThrow('behind a whole window');
    expect(() => scanner.firstCandidate(64, 1_001)).toThrow('stays within its buffer');
    expect(() => scanner.firstCandidate(64.5, 100)).toThrow('behind a whole window');
    expect(() => scanner.nextCut(0, 1_001, true)).toThrow('stays within its buffer');
    expect(() => scanner.nextCut(2, 1, true)).toThrow('a chunk has a start');
    expect(() => new ChunkScanner(polynomialA, 0)).toThrow('a capacity is positive');
    expect(() => new ChunkScanner(polynomialA, 2 ** 31 + 1)).toThrow('at most 2 GiB');
  });
});

describe('ChunkScanner.nextCut', () => {
  it('equals the reference on whole files with many early cuts', () => {
    const run = fc.tuple(fc.integer({ min: 0, max: 2_000_000 }), fc.integer({ min: 60, max: 70 }));
    fc.assert(
      fc.property(fc.integer(), fc.array(run, { maxLength: 5 }), (seed, runs) => {
        const bytes = keystream(`file ${seed}`, 2_000_000);
        for (const [start, size] of runs) bytes.fill(0, start, start + size);
        expect(cutsOf(bytes, polynomialB)).toEqual(referenceCuts(bytes, polynomialB));
      }),
      { numRuns: 10 },
    );
  });

  it('waits for more bytes unless they are the last', () => {
    const scanner = scannerOf(new Uint8Array(chunkSizeBytesMax + 1).fill(1), polynomialA);
    for (const end of [0, 1, chunkSizeBytesMin - 1, chunkSizeBytesMin, chunkSizeBytesMax - 1]) {
      expect(scanner.nextCut(0, end, false)).toBe(-1);
      expect(scanner.nextCut(0, end, true)).toBe(end === 0 ? -1 : end);
    }
    expect(scanner.nextCut(0, chunkSizeBytesMax, false)).toBe(chunkSizeBytesMax);
    expect(scanner.nextCut(0, chunkSizeBytesMax + 1, true)).toBe(chunkSizeBytesMax);
    expect(scanner.nextCut(1, chunkSizeBytesMax + 1, false)).toBe(chunkSizeBytesMax + 1);
  });

  it('cuts at exactly the minimum, also where the input ends there', () => {
    const scanner = scannerOf(new Uint8Array(3 * chunkSizeBytesMin), polynomialA);
    for (const isLast of [false, true]) {
      expect(scanner.nextCut(0, chunkSizeBytesMin, isLast)).toBe(chunkSizeBytesMin);
      expect(scanner.nextCut(7, chunkSizeBytesMin + 7, isLast)).toBe(chunkSizeBytesMin + 7);
    }
    expect(scanner.nextCut(0, chunkSizeBytesMin - 1, false)).toBe(-1);
  });

  it('remembers nothing of the bytes before', () => {
    const scanner = scannerOf(new Uint8Array(2 * chunkSizeBytesMin), polynomialA);
    const { length } = scanner.buffer;
    expect(scanner.nextCut(0, length, true)).toBe(chunkSizeBytesMin);
    scanner.buffer.fill(1);
    expect(scanner.nextCut(0, length, true)).toBe(length);
  });
});
