import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HoldfastError } from '../../base/errors.ts';
import { randomBytes, systemRandom } from '../../base/random.ts';
import { referenceCuts, referenceFirstCandidate } from '../../kernels/chunker-reference.ts';
import { ChunkScanner, windowSizeBytes } from '../../kernels/chunker.ts';
import { parsePolynomial } from '../../kernels/polynomial.ts';
import { CutPicker } from './cut-picker.ts';
import { firstCandidateIn, readExactly, scanSpan } from './span-scan.ts';

const polynomial = parsePolynomial('3da3358b4dc173');
const scanner = new ChunkScanner(polynomial, 2 << 20);
const KiB = 1024;
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'holdfast-cuts-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Runs `action` on an open file that holds `content`. */
function withFile<T>(content: Uint8Array, action: (fd: number) => T): T {
  const file = path.join(folder, 'file');
  writeFileSync(file, content);
  const fd = openSync(file, 'r');
  try {
    return action(fd);
  } finally {
    closeSync(fd);
  }
}

/** Cuts as the threads of a backup do: spans scanned apart, in any order, and picked in order. */
function cutsBySpans(
  content: Uint8Array,
  spanSizes: readonly number[],
  gapSizes: number[] = [],
): number[] {
  return withFile(content, (fd) => {
    const picker = new CutPicker(content.byteLength, (range) => {
      gapSizes.push(range.to - range.from + 1);
      return firstCandidateIn(scanner, fd, range);
    });
    const cuts: number[] = [];
    let start = 0;
    for (let i = 0; start < content.byteLength; i++) {
      const size = spanSizes[i % spanSizes.length] ?? content.byteLength;
      const end = Math.min(start + size, content.byteLength);
      picker.addSpan(end, scanSpan(scanner, { fd, start, end }));
      cuts.push(...picker.takeCuts());
      expect(picker.chunkStart).toBe(cuts.at(-1) ?? 0);
      start = end;
    }
    return cuts;
  });
}

/** Content in stretches: noise, zeros, and what repeats, with and without places to cut. */
const content: fc.Arbitrary<Uint8Array> = fc
  .array(
    fc.record({
      kind: fc.constantFrom('noise', 'zeros', 'period'),
      sizeBytes: fc.oneof(
        fc.integer({ min: 1, max: 200 * KiB }),
        fc.integer({ min: 400 * KiB, max: 4000 * KiB }),
        fc.constantFrom(512 * KiB, 512 * KiB - 1, 512 * KiB + 1, 64, 63),
      ),
      period: fc.integer({ min: 1, max: 900_000 }),
    }),
    { minLength: 1, maxLength: 6 },
  )
  .map((stretches) =>
    Buffer.concat(
      stretches.map(({ kind, sizeBytes, period }) => {
        if (kind === 'zeros') return Buffer.alloc(sizeBytes);
        if (kind === 'noise') return randomBytes(systemRandom, sizeBytes);
        return Buffer.alloc(sizeBytes, randomBytes(systemRandom, period));
      }),
    ),
  );

const spans = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 100 * KiB }),
    fc.integer({ min: 500 * KiB, max: 600 * KiB }),
    fc.integer({ min: 600 * KiB, max: 9000 * KiB }),
  ),
  { minLength: 1, maxLength: 4 },
);

describe('CutPicker', () => {
  test('cuts as one pass from start to end does, whatever the spans', () => {
    const property = fc.property(content, spans, (bytes, sizes) => {
      // Very many tiny spans only cost time.
      const average = sizes.reduce((sum, size) => sum + size, 0) / sizes.length;
      fc.pre(bytes.byteLength / average < 500);
      expect(cutsBySpans(bytes, sizes)).toEqual(referenceCuts(bytes, polynomial));
    });
    fc.assert(property, { numRuns: 25 });
  });

  test.each([
    ['nothing but zeros', Buffer.alloc(5_000_000)],
    ['nothing to cut at', Buffer.alloc(20_000_000, 'no place to cut')],
    ['a byte', Buffer.alloc(1)],
  ])('cuts %s', (_what, bytes) => {
    for (const size of [512 * KiB, 1 << 20, 3_333_333, 8 << 20]) {
      expect(cutsBySpans(bytes, [size])).toEqual(referenceCuts(bytes, polynomial));
    }
  });

  test('looks at little again of what the spans have seen', () => {
    const bytes = randomBytes(systemRandom, 24 << 20);
    const gaps: number[] = [];
    cutsBySpans(bytes, [8 << 20], gaps);
    const again = gaps.reduce((sum, size) => sum + size, 0);
    // Guessed and true cuts meet after a chunk or two; each gap is at most the smallest chunk.
    expect(again).toBeLessThan(bytes.byteLength / 4);
    expect(Math.max(...gaps, 0)).toBeLessThanOrEqual(512 * KiB);
  });

  test('takes spans in order only', () => {
    const picker = new CutPicker(10, () => -1);
    picker.addSpan(5, { covered: [], candidates: [] });
    expect(() => picker.addSpan(5, { covered: [], candidates: [] })).toThrow('in file order');
  });
});

describe('firstCandidateIn', () => {
  test('finds what the reference finds, also across the limits of its reads', () => {
    const bytes = randomBytes(systemRandom, 6 << 20);
    const positions = fc.integer({ min: windowSizeBytes, max: bytes.byteLength });
    withFile(bytes, (fd) => {
      const property = fc.property(positions, positions, (a, b) => {
        const range = { from: Math.min(a, b), to: Math.max(a, b) };
        expect(firstCandidateIn(scanner, fd, range)).toBe(
          referenceFirstCandidate(bytes, polynomial, range),
        );
      });
      fc.assert(property, { numRuns: 20 });
    });
  });
});

describe('readExactly', () => {
  test('says where a file ends that is shorter than it was', () => {
    withFile(Buffer.alloc(100), (fd) => {
      expect(() => readExactly(fd, new Uint8Array(50), 80)).toThrow(
        expect.objectContaining({
          code: 'SOURCE_FAILED',
          details: { offset: 100, reason: 'shrank' },
        }) as HoldfastError,
      );
    });
  });

  test('names the offset of a read that fails', () => {
    expect(() => readExactly(99_999, new Uint8Array(5), 40)).toThrow(
      expect.objectContaining({ code: 'SOURCE_FAILED', details: { offset: 40 } }) as HoldfastError,
    );
  });
});
