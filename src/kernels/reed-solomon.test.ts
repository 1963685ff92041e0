import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { multiply, multiplyAdd, pointOf, powerOf } from './binary-field.ts';
import { type CodeShape, encodeParity, isCodeShape, recoverData } from './reed-solomon.ts';

/** Bytes that follow from a seed. */
function bytesOf(sizeBytes: number, seed: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(sizeBytes);
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  for (let i = 0; i < sizeBytes; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state;
  }
  return bytes;
}

/** Multiplication as schools teach it. */
function product(a: number, b: number): number {
  let result = 0;
  for (let bit = 0; bit < 16; bit++) if (b & (1 << bit)) result ^= a << bit;
  for (let bit = 30; bit >= 16; bit--) if (result & (1 << bit)) result ^= 0x1100b << (bit - 16);
  return result & 0xffff;
}

function inverse(a: number): number {
  let result = a;
  for (let i = 0; i < 14; i++) result = product(product(result, result), a);
  return product(result, result);
}

/**
 * The parity by its definition: with zeros at the points that nothing stands at, the polynomial of lowest degree
 * through the data is looked at where the parity stands (Lagrange).
 */
function referenceParity(data: Uint8Array, shape: CodeShape): Uint8Array {
  const { dataCount, parityCount, blockSizeBytes } = shape;
  const room = 2 ** Math.ceil(Math.log2(parityCount));
  const size = 2 ** Math.ceil(Math.log2(room + dataCount));
  const points = Array.from({ length: size - room }, (_, i) => pointOf(room + i));
  const words = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
  const width = blockSizeBytes / 2;
  const parity = new Uint16Array(parityCount * width);
  for (let block = 0; block < parityCount; block++) {
    const at = pointOf(block);
    for (let i = 0; i < dataCount; i++) {
      const own = points[i] ?? 0;
      let factor = 1;
      for (const other of points) {
        if (other === own) continue;
        factor = product(factor, product(at ^ other, inverse(own ^ other)));
      }
      for (let word = 0; word < width; word++) {
        const place = block * width + word;
        parity[place] = (parity[place] ?? 0) ^ product(factor, words[i * width + word] ?? 0);
      }
    }
  }
  return new Uint8Array(parity.buffer);
}

describe('the field', () => {
  test('multiplies as defined', () => {
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff), (a, b) => {
        expect(multiply(a, b)).toBe(product(a, b));
        const target = Uint16Array.of(b, 7, a);
        multiplyAdd(target, Uint16Array.of(a, b, 1), b);
        expect([...target]).toEqual([b ^ product(a, b), 7 ^ product(b, b), a ^ b]);
      }),
      { seed: 1 },
    );
  });

  test('has every element once as a power and once as a point, and points add as their numbers', () => {
    const powers = new Set(Array.from({ length: 65_535 }, (_, log) => powerOf(log)));
    const points = new Set(Array.from({ length: 65_536 }, (_, number) => pointOf(number)));
    expect([powers.size, points.size]).toEqual([65_535, 65_536]);
    expect(powers.has(0)).toBe(false);
    fc.assert(
      fc.property(fc.nat(0xffff), fc.nat(0xffff), (a, b) => {
        expect(pointOf(a) ^ pointOf(b)).toBe(pointOf(a ^ b));
      }),
      { seed: 1 },
    );
  });
});

const shapes = fc
  .record({
    dataCount: fc.integer({ min: 1, max: 40 }),
    parityCount: fc.integer({ min: 1, max: 20 }),
    blockSizeBytes: fc.constantFrom(2, 4, 6, 64),
  })
  .filter(isCodeShape);

describe('parity', () => {
  test('is that of the definition', () => {
    const small = shapes.filter(({ dataCount, parityCount }) => dataCount + parityCount < 20);
    fc.assert(
      fc.property(small, fc.nat(), (shape, seed) => {
        const data = bytesOf(shape.dataCount * shape.blockSizeBytes, seed);
        expect(encodeParity(data, shape)).toEqual(referenceParity(data, shape));
      }),
      { seed: 2, numRuns: 40 },
    );
  });

  test('makes up for as many lost blocks as it has, whichever they are, and for no more', () => {
    const order = fc.array(fc.nat(0xffff), { minLength: 60, maxLength: 60 });
    fc.assert(
      fc.property(shapes, order, fc.nat(20), (shape, ranks, lostMax) => {
        const { dataCount, parityCount, blockSizeBytes } = shape;
        const data = bytesOf(dataCount * blockSizeBytes, ranks[0] ?? 0);
        const parity = encodeParity(data, shape);
        const blocks = Array.from({ length: dataCount + parityCount }, (_, block) => block);
        const shuffled = blocks.toSorted((a, b) => (ranks[a] ?? 0) - (ranks[b] ?? 0) || a - b);
        const lostBlocks = shuffled.slice(0, Math.max(1, lostMax));
        const lost = {
          data: lostBlocks.filter((block) => block < dataCount),
          parity: lostBlocks.filter((block) => block >= dataCount).map((b) => b - dataCount),
        };
        const left = { data: data.slice(), parity: parity.slice() };
        for (const b of lost.data)
          left.data.fill(170, b * blockSizeBytes, (b + 1) * blockSizeBytes);
        for (const b of lost.parity) {
          left.parity.fill(170, b * blockSizeBytes, (b + 1) * blockSizeBytes);
        }
        const isEnough = lostBlocks.length <= parityCount;
        expect(recoverData(left, shape, lost)).toBe(isEnough);
        if (isEnough) expect(left.data).toEqual(data);
      }),
      { seed: 3, numRuns: 200 },
    );
  });
});
