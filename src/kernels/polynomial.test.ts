import { createCipheriv, hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { systemRandom } from '../base/random.ts';
import {
  chunkTables,
  formatPolynomial,
  isIrreducible,
  parsePolynomial,
  randomPolynomial,
} from './polynomial.ts';

interface Vectors {
  readonly polynomials: {
    readonly derive: readonly { seed: string; index: number; polynomial: string }[];
    readonly reducible: readonly string[];
  };
}

const { polynomials }: Vectors = JSON.parse(
  readFileSync(new URL('./fixtures/chunker.json', import.meta.url), 'utf8'),
);

/** The keystream that the vectors derive their polynomials from, as a source of randomness that counts its draws. */
function keystream(seed: string): { fill<T extends Uint8Array>(target: T): T; draws: number } {
  const cipher = createCipheriv('aes-256-ctr', hash('sha256', seed, 'buffer'), new Uint8Array(16));
  return {
    draws: 0,
    fill(target) {
      this.draws++;
      target.set(cipher.update(new Uint8Array(target.length)));
      return target;
    },
  };
}

/** Schoolbook product over GF(2). */
function multiply(a: bigint, b: bigint): bigint {
  let product = 0n;
  for (let bit = 0n; b >> bit !== 0n; bit++) if ((b >> bit) & 1n) product ^= a << bit;
  return product;
}

/** Schoolbook remainder over GF(2). */
function remainder(a: bigint, modulus: bigint): bigint {
  const degree = modulus.toString(2).length;
  for (let length = a.toString(2).length; length >= degree && a !== 0n; ) {
    a ^= modulus << BigInt(length - degree);
    length = a.toString(2).length;
  }
  return a;
}

describe('polynomials', () => {
  it('derives those of the vectors, draw by draw', () => {
    for (const { seed, index, polynomial } of polynomials.derive) {
      const random = keystream(seed);
      expect(formatPolynomial(randomPolynomial(random))).toBe(polynomial);
      expect(random.draws).toBe(index + 1);
    }
  });

  it('tells irreducible ones from products', () => {
    for (const { polynomial } of polynomials.derive) {
      expect(isIrreducible(parsePolynomial(polynomial))).toBe(true);
    }
    for (const hex of polynomials.reducible) {
      expect(isIrreducible(parsePolynomial(hex))).toBe(false);
    }
    for (const wrongDegree of [0n, 1n, 2n, 0b111n, 1n << 52n, (1n << 54n) | 1n]) {
      expect(isIrreducible(wrongDegree)).toBe(false);
    }
  });

  it('finds every product of two factors reducible', () => {
    const factor = fc.bigInt(2n, (1n << 27n) - 1n);
    fc.assert(
      fc.property(factor, fc.bigInt(0n, (1n << 53n) - 1n), (small, bits) => {
        const degree = BigInt(53 - (small.toString(2).length - 1));
        const other = (1n << degree) | (bits & ((1n << degree) - 1n));
        const product = multiply(small, other);
        expect(product >> 53n).toBe(1n);
        expect(isIrreducible(product)).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it('reads and writes hex, and refuses what is not of degree 53', () => {
    expect(formatPolynomial(parsePolynomial('31a1ec5d60e3c9'))).toBe('31a1ec5d60e3c9');
    expect(parsePolynomial('0031A1EC5D60E3C9')).toBe(0x31a1ec5d60e3c9n);
    const bad = ['', '0', 'x', '0x31a1ec5d60e3c9', '-31a1ec5d60e3c9', ' 31a1ec5d60e3c9'];
    for (const text of [...bad, '11a1ec5d60e3c9', '71a1ec5d60e3c9', 'f'.repeat(100)]) {
      expect(() => parsePolynomial(text)).toThrow('no chunker polynomial of degree 53');
    }
  });

  it('makes fresh ones from the system', () => {
    const [a, b] = [randomPolynomial(systemRandom), randomPolynomial(systemRandom)];
    expect(a).not.toBe(b);
    expect(isIrreducible(a)).toBe(true);
  });
});

describe('chunkTables', () => {
  it('holds what its definition says', () => {
    const polynomial = parsePolynomial('2c4a026d3141e7');
    const { out, leave, mod } = chunkTables(polynomial);
    for (let byte = 0; byte < 256; byte++) {
      const b = BigInt(byte);
      expect(out[byte]).toBe(remainder(b << 504n, polynomial));
      expect(leave[byte]).toBe(remainder(b << 512n, polynomial));
      expect(mod[byte]).toBe(remainder(b << 53n, polynomial) | (b << 53n));
    }
    expect(chunkTables(polynomial).out).toBe(out);
  });
});
