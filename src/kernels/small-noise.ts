/** Shorter ones are left to the compressor: too little to judge by, and too little to gain. */
export const smallNoiseBytesMin = 64;
/** In longer ones a slight bias, which is not seen here, would be worth compressing. */
export const smallNoiseBytesMax = 512;
/** Noise of 200 bytes has a fifth more pairs of equal bytes than are to be expected in one of a hundred. */
const pairsShareMax = 1.3;
const byteValues = 256;
/** Slots of the table of words, as a power of 2. */
const tableBits = 9;
/** A prime near 2^32 divided by the golden ratio. */
const multiplier = 0x9e3779b1;

const counts = new Uint16Array(byteValues);
const words = new Int32Array(1 << tableBits);

/**
 * True if a few hundred bytes look like noise, so that a zstd frame of them is larger than they are: no four bytes in a row
 * come twice, so that there is nothing to refer back to, and byte values are spread so evenly that a code saves less than its
 * table and the frame's header take. A third of the time that trying it takes.
 *
 * False for all other sizes. What it cannot see is a use of some two hundred values only; that costs a few bytes.
 */
export function isSmallNoise(bytes: Uint8Array): boolean {
  const size = bytes.length;
  if (size < smallNoiseBytesMin || size > smallNoiseBytesMax) return false;
  counts.fill(0);
  words.fill(0);
  let pairs = 0;
  let word = 0;
  for (let at = 0; at < size; at++) {
    const byte = bytes[at]!;
    pairs += counts[byte]!;
    counts[byte]!++;
    word = (word << 8) | byte;
    if (at < 3) continue;
    const slot = Math.imul(word, multiplier) >>> (32 - tableBits);
    // An empty slot equals four zeros: those are no noise either.
    if (words[slot] === word) return false;
    words[slot] = word;
  }
  return pairs * byteValues <= (pairsShareMax * size * (size - 1)) / 2;
}
