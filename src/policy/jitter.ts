/** FNV-1a's start and factor, 32 bits. */
const [offsetBasis, prime] = [0x811c9dc5, 0x01000193];

/**
 * A number from 0 up to 2^32 for some bytes: the same for the same, and evenly spread. No secret and no proof of anything.
 */
export function hash32(bytes: Uint8Array): number {
  let hash = offsetBasis;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, prime);
  // Keys that differ in their last letter alone would lie close together: mix as murmur3's finalizer does.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * How much later than its slot a duty starts: from 0 up to, but not, `maximumMs`. The same key has the same one for ever, so that
 * runs keep their distance, and different keys spread evenly.
 */
export function jitterMs(key: string, maximumMs: number): number {
  return Math.floor((hash32(new TextEncoder().encode(key)) / 2 ** 32) * maximumMs);
}
