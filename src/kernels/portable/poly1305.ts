import { assert } from '../../base/assert.ts';

const limbBits = 22;
const limbBase = 2 ** limbBits;
const limbMask = limbBase - 1;
const blockSizeBytes = 16;
const prime = (1n << 130n) - 5n;

/** A number below 2^132 in six limbs of 22 bits. */
type Limbs = [number, number, number, number, number, number];

/**
 * Poly1305 (RFC 8439, section 2.5) in plain arithmetic: the reference for the native one, and what serves
 * where none loads.
 *
 * Limbs of 22 bits keep every sum of products below 2^52, where doubles are exact. Not constant time in its
 * last step, which uses one BigInt.
 *
 * @param oneTimeKey r, which is clamped here, then s: 16 bytes each
 * @param tag receives 16 bytes
 */
export function poly1305(oneTimeKey: Uint8Array, message: Uint8Array, tag: Uint8Array): void {
  assert(oneTimeKey.length === 32 && tag.length === 16, 'Poly1305 has 32 bytes key, 16 bytes tag');
  const r = readClamped(oneTimeKey);
  const h: Limbs = [0, 0, 0, 0, 0, 0];
  const whole = message.length - (message.length % blockSizeBytes);
  absorb(h, r, message.subarray(0, whole));
  if (whole < message.length) absorb(h, r, paddedBlock(message.subarray(whole)), 0);
  writeTag(h, readInteger(oneTimeKey.subarray(16)), tag);
}

/** The last, short block: a 1 byte behind the message, then zeros; it has no bit 128. */
function paddedBlock(rest: Uint8Array): Uint8Array {
  const block = new Uint8Array(blockSizeBytes);
  block.set(rest);
  block[rest.length] = 1;
  return block;
}

/** r, the first 16 bytes, little-endian, without the bits that it may not have. */
function readClamped(bytes: Uint8Array): Limbs {
  const t0 = readWord(bytes, 0) & 0x0fffffff;
  const t1 = readWord(bytes, 4) & 0x0ffffffc;
  const t2 = readWord(bytes, 8) & 0x0ffffffc;
  const t3 = readWord(bytes, 12) & 0x0ffffffc;
  return [
    t0 & limbMask,
    ((t0 >>> 22) | (t1 << 10)) & limbMask,
    ((t1 >>> 12) | (t2 << 20)) & limbMask,
    (t2 >>> 2) & limbMask,
    ((t2 >>> 24) | (t3 << 8)) & limbMask,
    t3 >>> 14,
  ];
}

function readWord(b: Uint8Array, at: number): number {
  return b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24);
}

/** h = (h + block) * r modulo 2^130 - 5 for each whole block, with `top` as its bit 128; 2^132 is 20 modulo it. */
function absorb(h: Limbs, r: Limbs, blocks: Uint8Array, top = 1): void {
  const [r0, r1, r2, r3, r4, r5] = r;
  const [s1, s2, s3, s4, s5] = [20 * r1, 20 * r2, 20 * r3, 20 * r4, 20 * r5];
  let [h0, h1, h2, h3, h4, h5] = h;
  for (let at = 0; at < blocks.length; at += blockSizeBytes) {
    const t0 = readWord(blocks, at);
    const t1 = readWord(blocks, at + 4);
    const t2 = readWord(blocks, at + 8);
    const t3 = readWord(blocks, at + 12);
    h0 += t0 & limbMask;
    h1 += ((t0 >>> 22) | (t1 << 10)) & limbMask;
    h2 += ((t1 >>> 12) | (t2 << 20)) & limbMask;
    h3 += (t2 >>> 2) & limbMask;
    h4 += ((t2 >>> 24) | (t3 << 8)) & limbMask;
    h5 += (t3 >>> 14) | (top << 18);
    let d0 = h0 * r0 + h1 * s5 + h2 * s4 + h3 * s3 + h4 * s2 + h5 * s1;
    let d1 = h0 * r1 + h1 * r0 + h2 * s5 + h3 * s4 + h4 * s3 + h5 * s2;
    let d2 = h0 * r2 + h1 * r1 + h2 * r0 + h3 * s5 + h4 * s4 + h5 * s3;
    let d3 = h0 * r3 + h1 * r2 + h2 * r1 + h3 * r0 + h4 * s5 + h5 * s4;
    let d4 = h0 * r4 + h1 * r3 + h2 * r2 + h3 * r1 + h4 * r0 + h5 * s5;
    let d5 = h0 * r5 + h1 * r4 + h2 * r3 + h3 * r2 + h4 * r1 + h5 * r0;
    let carry = Math.floor(d0 / limbBase);
    d0 -= carry * limbBase;
    d1 += carry;
    carry = Math.floor(d1 / limbBase);
    h1 = d1 - carry * limbBase;
    d2 += carry;
    carry = Math.floor(d2 / limbBase);
    h2 = d2 - carry * limbBase;
    d3 += carry;
    carry = Math.floor(d3 / limbBase);
    h3 = d3 - carry * limbBase;
    d4 += carry;
    carry = Math.floor(d4 / limbBase);
    h4 = d4 - carry * limbBase;
    d5 += carry;
    carry = Math.floor(d5 / limbBase);
    h5 = d5 - carry * limbBase;
    d0 += 20 * carry;
    carry = Math.floor(d0 / limbBase);
    h0 = d0 - carry * limbBase;
    h1 += carry;
  }
  h[0] = h0;
  h[1] = h1;
  h[2] = h2;
  h[3] = h3;
  h[4] = h4;
  h[5] = h5;
}

function readInteger(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
  return value;
}

/** tag = (h mod 2^130 - 5) + s modulo 2^128, little-endian. */
function writeTag(h: Limbs, s: bigint, tag: Uint8Array): void {
  let value = 0n;
  for (let i = h.length - 1; i >= 0; i--) value = (value << BigInt(limbBits)) + BigInt(h[i]!);
  value = (value % prime) + s;
  for (let i = 0; i < blockSizeBytes; i++) tag[i] = Number((value >> BigInt(8 * i)) & 255n);
}
