import { randomFillSync } from 'node:crypto';

/** Randomness as the program sees it. The only source outside this file; a simulator has its own. */
export interface Random {
  /** Fills `target` with unpredictable bytes and returns it. */
  fill<T extends Uint8Array>(target: T): T;
}

/** The operating system's generator. */
export const systemRandom: Random = { fill: (target) => randomFillSync(target) };

/** `size` fresh random bytes. */
export function randomBytes(random: Random, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  return random.fill(bytes);
}

/** A uniform integer in `[0, limit)`, `limit` at most 2^32. */
export function randomBelow(random: Random, limit: number): number {
  const bytes = randomBytes(random, 8);
  const view = new DataView(bytes.buffer);
  // 53 random bits scaled: the bias is below 2^-20 for the largest limit.
  const fraction = (view.getUint32(0) * 2 ** 21 + (view.getUint32(4) >>> 11)) / 2 ** 53;
  return Math.floor(fraction * limit);
}
