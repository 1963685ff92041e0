/** One position in so many, picked by its content, is remembered. */
const samplePeriodMask = 63;
/** Slots of the table of positions, as a power of 2. */
const tableBits = 16;
/** A repeat has at least so many bytes. */
const repeatBytesMin = 16;
/** A prime near 2^32 divided by the golden ratio. */
const multiplier = 0x9e3779b1;

const table = new Int32Array(1 << tableBits);

/**
 * True if pieces of `bytes` that are in them twice, however far apart, make up at least `share` of them, so that a
 * thorough search for matches pays. Content decides which positions are compared, so that copies need not be aligned;
 * pieces of less than a hundred bytes may be missed.
 *
 * Fast levels of zstd do not tell this: in data that looks random they skip most positions.
 */
export function hasRepeats(bytes: Uint8Array, share: number): boolean {
  table.fill(0);
  let missingBytes = bytes.length * share;
  let word = 0;
  for (let at = 0; at < bytes.length; at++) {
    word = (word >>> 8) | (bytes[at]! << 24);
    const hash = Math.imul(word, multiplier);
    if ((hash & samplePeriodMask) !== 0) continue;
    const slot = hash >>> (32 - tableBits);
    // 0 says that the slot is free.
    const before = table[slot]! - 1;
    table[slot] = at + 1;
    const repeatBytes = before < 0 ? 0 : equalBytesFrom(bytes, before, at);
    if (repeatBytes < repeatBytesMin) continue;
    missingBytes -= repeatBytes;
    if (missingBytes <= 0) return true;
    at += repeatBytes - 1;
  }
  return false;
}

/** How many bytes from two positions on are equal. */
function equalBytesFrom(bytes: Uint8Array, a: number, b: number): number {
  let count = 0;
  while (b + count < bytes.length && bytes[a + count] === bytes[b + count]) count++;
  return count;
}
