import { randomInt } from 'node:crypto';
import fc from 'fast-check';

/** Multiplies the number of generated cases; 1 in CI. */
export const testScale: number = Math.max(1, Number(process.env['HOLDFAST_TEST_SCALE'] ?? 1));

/** Seeds of a property: a fixed one, and one that is new in each run unless HOLDFAST_TEST_SEED gives it. Printed. */
export function seedsOf(property: string): readonly number[] {
  const given = process.env['HOLDFAST_TEST_SEED'];
  const random = given === undefined ? randomInt(2 ** 31) : Number(given);
  console.log(`${property}: HOLDFAST_TEST_SEED=${random}`);
  return [1, random];
}

/** Bytes that follow from a seed and look random: xorshift32. */
export function pseudoRandom(sizeBytes: number, seed: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  let x = (seed ^ 0x9e3779b9) >>> 0 || 1;
  for (let i = 0; i < words.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return new Uint8Array(words.buffer, 0, sizeBytes);
}

/**
 * Holds a property against generated cases. Fails with the seed that repeats the case and the failure alone: what was
 * generated may be pages long.
 * @param numRuns in CI
 */
export async function holdsFor<T extends [unknown, ...unknown[]]>(
  property: fc.IAsyncProperty<T>,
  options: { readonly seed: number; readonly numRuns: number },
): Promise<void> {
  const { seed, numRuns } = options;
  const run = await fc.check(property, { seed, numRuns: numRuns * testScale, endOnFailure: true });
  if (!run.failed) return;
  const where = `seed ${seed}, path ${run.counterexamplePath ?? '-'}, case ${run.numRuns}`;
  throw new Error(`the property does not hold (${where})`, { cause: run.errorInstance });
}
