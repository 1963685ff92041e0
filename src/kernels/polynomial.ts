import { HoldfastError } from '../base/errors.ts';
import { type Random, randomBytes } from '../base/random.ts';

/** A polynomial over GF(2): bit `i` is the coefficient of `x^i`. */
export type Polynomial = bigint;

/** Degree of every chunker polynomial. */
export const polynomialDegree = 53;

const degreeBits = BigInt(polynomialDegree);

/**
 * Reads a chunker polynomial in hex, without prefix.
 * @throws CONFIG_DAMAGED if it is not of degree 53; irreducibility is tested apart
 */
export function parsePolynomial(hex: string): Polynomial {
  const polynomial = /^[0-9a-f]{1,16}$/i.test(hex) ? BigInt(`0x${hex}`) : 0n;
  if (polynomial >> degreeBits !== 1n) {
    throw new HoldfastError('CONFIG_DAMAGED', {
      message: 'the repository config holds no chunker polynomial of degree 53',
    });
  }
  return polynomial;
}

/** Lower-case hex without prefix or padding. */
export function formatPolynomial(polynomial: Polynomial): string {
  return polynomial.toString(16);
}

/**
 * True if `polynomial`, of degree 53, is no product of others: Ben-Or's test, at most 26 squarings.
 * Well under a millisecond.
 */
export function isIrreducible(polynomial: Polynomial): boolean {
  if (polynomial >> degreeBits !== 1n) return false;
  let power = 2n;
  for (let i = 1; i <= polynomialDegree / 2; i++) {
    power = square(power, polynomial);
    if (greatestCommonDivisor(polynomial, power ^ 2n) !== 1n) return false;
  }
  return true;
}

/**
 * A fresh irreducible polynomial of degree 53, some 27 draws on average.
 * @param random each draw takes 8 bytes: a little-endian integer of which the low 54 bits are kept and bits 53 and 0 set
 */
export function randomPolynomial(random: Random): Polynomial {
  for (;;) {
    const bytes = randomBytes(random, 8);
    const drawn = new DataView(bytes.buffer).getBigUint64(0, true);
    const candidate = BigInt.asUintN(polynomialDegree + 1, drawn) | (1n << degreeBits) | 1n;
    if (isIrreducible(candidate)) return candidate;
  }
}

/** Lookup tables of the rolling fingerprint, one entry for each value of a byte. */
export interface ChunkTables {
  /** `out[b]`: what byte `b` has become once it is the oldest of the window: `b * x^504 mod P`. */
  readonly out: BigUint64Array<ArrayBuffer>;
  /** `leave[b]`: the same one step later, `b * x^512 mod P`: removes the byte while the next one enters. */
  readonly leave: BigUint64Array<ArrayBuffer>;
  /** `mod[b]`: reduces and clears the overflow `b * x^53`: `(b * x^53 mod P) | b << 53`. */
  readonly mod: BigUint64Array<ArrayBuffer>;
}

const tablesOfPolynomial = new Map<Polynomial, ChunkTables>();

/** The tables of `polynomial`, built once in each thread, in under a millisecond. */
export function chunkTables(polynomial: Polynomial): ChunkTables {
  let tables = tablesOfPolynomial.get(polynomial);
  if (tables === undefined) {
    const overflow = linearTable(polynomialDegree, polynomial);
    tables = {
      out: linearTable(8 * 63, polynomial),
      leave: linearTable(8 * 64, polynomial),
      mod: overflow.map((value, byte) => value | (BigInt(byte) << degreeBits)),
    };
    tablesOfPolynomial.set(polynomial, tables);
  }
  return tables;
}

/** `b * x^exponent mod P` for every byte b: linear in b, so eight of them make all. */
function linearTable(exponent: number, polynomial: Polynomial): BigUint64Array<ArrayBuffer> {
  const table = new BigUint64Array(256);
  let value = 1n;
  for (let i = 0; i < exponent; i++) value = timesX(value, polynomial);
  for (let bit = 1; bit < 256; bit *= 2) {
    for (let low = 0; low < bit; low++) table[bit + low] = table[low]! ^ value;
    value = timesX(value, polynomial);
  }
  return table;
}

function timesX(value: Polynomial, modulus: Polynomial): Polynomial {
  const shifted = value << 1n;
  return shifted >> degreeBits === 0n ? shifted : shifted ^ modulus;
}

/** `value^2 mod modulus`, for a value of lower degree than 53: squaring spreads the bits. */
function square(value: Polynomial, modulus: Polynomial): Polynomial {
  let result = 0n;
  for (let bit = polynomialDegree - 1; bit >= 0; bit--) {
    result = timesX(timesX(result, modulus), modulus);
    if ((value >> BigInt(bit)) & 1n) result ^= 1n;
  }
  return result;
}

function greatestCommonDivisor(a: Polynomial, b: Polynomial): Polynomial {
  while (b !== 0n) {
    const lengthOfB = bitLength(b);
    let rest = a;
    for (let shift = bitLength(rest) - lengthOfB; shift >= 0; shift = bitLength(rest) - lengthOfB) {
      rest ^= b << BigInt(shift);
      if (rest === 0n) break;
    }
    a = b;
    b = rest;
  }
  return a;
}

/** Number of bits of `value`, which is below 2^64; 0 for 0. */
function bitLength(value: bigint): number {
  const high = Number(value >> 32n);
  return high === 0 ? 32 - Math.clz32(Number(value)) : 64 - Math.clz32(high);
}
