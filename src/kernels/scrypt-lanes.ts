import { assert } from '../base/assert.ts';
import { scryptMixWasm } from './scrypt-mix-wasm.ts';
import { loadKernel } from './webassembly.ts';

/** Lanes mixed at a time: two fill the processor, which one leaves half idle. */
export const lanesAtOnce = 2;

/** Between two lanes: at a distance that is a multiple of 4096 they would meet in the same lines of the cache. */
const laneGapBytes = 576;

/** Cost of one lane. */
export interface LaneCost {
  /** Rounds: a power of two, at least 2. */
  readonly N: number;
  /** Block size in units of 128 bytes. */
  readonly r: number;
}

/**
 * scryptROMix (RFC 7914): replaces each block of 128 * r bytes by its mix, synchronously. Takes 128 * N * r bytes of
 * memory for each of two lanes; all blocks use the same, since fresh memory costs nearly as much as the mixing.
 * @param blocks one block or more
 */
export function mixLanes(blocks: Uint8Array, { N, r }: LaneCost): void {
  const blockSizeBytes = 128 * r;
  const count = blocks.length / blockSizeBytes;
  assert(Number.isInteger(count) && count > 0, 'lanes are whole blocks');
  assert(N >= 2 && Number.isInteger(Math.log2(N)), 'N of scrypt is a power of two');
  const laneSizeBytes = blockSizeBytes * (N + 2) + laneGapBytes;
  const sizeBytes = Math.min(count, lanesAtOnce) * laneSizeBytes;
  const { buffer, call: mix } = loadKernel(scryptMixWasm, 'mix', sizeBytes);
  const words = new DataView(buffer);
  const placeOf = (at: number): number =>
    Math.floor(at / blockSizeBytes) * laneSizeBytes + placeInBlock(at % blockSizeBytes);
  for (let first = 0; first < count; first += lanesAtOnce) {
    const lanes = blocks.subarray(first * blockSizeBytes, (first + lanesAtOnce) * blockSizeBytes);
    const view = new DataView(lanes.buffer, lanes.byteOffset, lanes.byteLength);
    for (let at = 0; at < lanes.length; at += 4) {
      words.setUint32(placeOf(at), view.getUint32(at, true), true);
    }
    mix(0, lanes.length > blockSizeBytes ? laneSizeBytes : 0, N, r);
    for (let at = 0; at < lanes.length; at += 4) {
      view.setUint32(at, words.getUint32(placeOf(at), true), true);
    }
  }
}

/** Where the kernel has the word at `at` of a block: of each 16, number `i` is word `5 * i` modulo 16 of the block. */
function placeInBlock(at: number): number {
  const word = (at / 4) % 16;
  // 13 * 5 is 1 modulo 16.
  return at - 4 * word + 4 * ((13 * word) % 16);
}
