import type { Random } from '../base/random.ts';

/** A polynomial over GF(2): bit `i` is the coefficient of `x^i`. */
export type Polynomial = bigint;

/** Reads a polynomial of degree 53 in hex. @throws CONFIG_DAMAGED */
export function parsePolynomial(hex: string): Polynomial {
  return BigInt(`0x${hex}`);
}

/** Lower-case hex without prefix or padding. */
export function formatPolynomial(polynomial: Polynomial): string {
  return polynomial.toString(16);
}

/** True if `polynomial` has no factor but itself and 1. */
export function isIrreducible(polynomial: Polynomial): boolean {
  throw new Error(`not there yet ${polynomial}`);
}

/** A fresh irreducible polynomial of degree 53. */
export function randomPolynomial(random: Random): Polynomial {
  throw new Error(`not there yet ${typeof random}`);
}

/** Lookup tables of the rolling fingerprint. */
export interface ChunkTables {
  readonly out: BigUint64Array;
  readonly mod: BigUint64Array;
}

/** The tables of `polynomial`, built once. */
export function chunkTables(polynomial: Polynomial): ChunkTables {
  throw new Error(`not there yet ${polynomial}`);
}
