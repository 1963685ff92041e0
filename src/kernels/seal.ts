import { assert } from '../base/assert.ts';
import { equalBytes } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { type Random, systemRandom } from '../base/random.ts';
import { bindNativeRandom } from './native/random.ts';
import { bindNativeSeal } from './native/seal.ts';
import { poly1305 } from './portable/poly1305.ts';
import { portableSeal } from './portable/seal.ts';
import type { CipherKeys, SealKernel, SealKernelFactory } from './seal-kernel.ts';

/** A key as key files hold it. */
export interface SealKey {
  /** AES-256 key, 32 bytes. */
  readonly encrypt: Uint8Array;
  /** AES-128 key of the MAC, 16 bytes. */
  readonly macK: Uint8Array;
  /** Polynomial key of the MAC, 16 bytes, not clamped. */
  readonly macR: Uint8Array;
}

/** What sealing adds: 16 bytes IV before, 16 bytes tag behind. */
export const sealOverheadBytes = 32;

/** What stands before the ciphertext: the IV. */
export const sealStartBytes = 16;
const ivSizeBytes = sealStartBytes;
const tagSizeBytes = 16;
/** What AES-CTR counts. */
const blockSizeBytes = 16;

interface Chosen {
  readonly kernelOf: SealKernelFactory;
  readonly nativeRandom: ReturnType<typeof bindNativeRandom>;
}

let chosen: Chosen | undefined;

/** Chooses the implementation of this thread, which takes some milliseconds the first time; else the first `Sealer` does. */
export function prepareSealing(): Chosen {
  chosen ??= { kernelOf: chooseKernel(), nativeRandom: bindNativeRandom() };
  return chosen;
}

/**
 * Seals and opens: `IV(16), AES-256-CTR ciphertext, Poly1305-AES tag(16)` over the ciphertext.
 *
 * Every sealing takes a fresh random IV. With the system's randomness nothing is kept ahead in this process, so
 * that a copy of a running virtual machine cannot use an IV a second time. Synchronous, 2 to 3 GB/s. One
 * instance per thread.
 * @see docs/FORMAT.md#sealing
 */
export class Sealer {
  readonly #kernel: SealKernel;
  readonly #random: Random;
  readonly #nativeRandom: Chosen['nativeRandom'];
  /** r, then the encrypted nonce of the sealing at hand. */
  readonly #oneTimeKey: Uint8Array = new Uint8Array(32);
  readonly #nonce: Uint8Array = this.#oneTimeKey.subarray(16);
  readonly #tag: Uint8Array = new Uint8Array(tagSizeBytes);

  /**
   * @param using the implementation; tests give theirs
   * @throws KEY_DAMAGED if a part of the key has the wrong length or is all zero
   */
  constructor(key: SealKey, random: Random, using?: SealKernelFactory) {
    assertKey(key);
    const { kernelOf, nativeRandom } = prepareSealing();
    this.#kernel = (using ?? kernelOf)(ownKeys(key));
    this.#random = random;
    this.#nativeRandom = random === systemRandom ? nativeRandom : undefined;
    this.#oneTimeKey.set(key.macR);
  }

  /**
   * Writes the sealed form of `plain` to `target` at `offset`. The two must not overlap.
   * @returns the bytes written: those of `plain` and 32 more
   */
  sealInto(plain: Uint8Array, target: Uint8Array, offset: number): number {
    const size = plain.length + sealOverheadBytes;
    assertRoom(target, offset, size);
    const middle = offset + ivSizeBytes;
    const end = middle + plain.length;
    const ciphertext = target.subarray(middle, end);
    assertApart(plain, target, offset, size);
    const iv = target.subarray(offset, middle);
    this.#drawIv(iv);
    this.#kernel.crypt(iv, plain, ciphertext);
    this.#authenticate(iv, ciphertext);
    target.set(this.#tag, end);
    return size;
  }

  /**
   * As `sealInto`, of `sizeBytes` plain bytes that stand in `target` already, `sealStartBytes` behind `offset`: the sealed ones take
   * their place.
   * @returns the bytes that the sealed form has, `sizeBytes` and 32 more
   */
  sealInPlace(target: Uint8Array, offset: number, sizeBytes: number): number {
    assertRoom(target, offset, sizeBytes + sealOverheadBytes);
    const middle = offset + ivSizeBytes;
    const end = middle + sizeBytes;
    const text = target.subarray(middle, end);
    const iv = target.subarray(offset, middle);
    this.#drawIv(iv);
    this.#kernel.crypt(iv, text, text);
    this.#authenticate(iv, text);
    target.set(this.#tag, end);
    return sizeBytes + sealOverheadBytes;
  }

  /**
   * Verifies `sealed`, which must stay as it is, for who decrypts it part by part: a pack of very small blobs has a header of
   * 6 MB, and its index file 13.
   * @returns what decrypts the plain bytes `[start, end)` to `room`, which has 15 bytes more than that, and gives them
   * @throws SEAL_BROKEN as `openInto`
   */
  openParts(sealed: Uint8Array): (start: number, end: number, room: Uint8Array) => Uint8Array {
    const { iv, ciphertext } = this.#verified(sealed);
    return (start, end, room) => {
      assert(start >= 0 && start <= end && end <= ciphertext.length, 'the part is there');
      const skipped = start % blockSizeBytes;
      const from = start - skipped;
      assert(room.length >= end - from, 'a part fits its room');
      const counter = counterAt(iv, from / blockSizeBytes);
      this.#kernel.crypt(counter, ciphertext.subarray(from, end), room.subarray(0, end - from));
      return room.subarray(skipped, end - from);
    };
  }

  /**
   * Verifies `sealed` and only then decrypts it to `target` at `offset`. The two must not overlap.
   * @returns the bytes written: those of `sealed` less 32
   * @throws SEAL_BROKEN if it is too short, its IV is all zero, or the tag does not fit; nothing is written
   */
  openInto(sealed: Uint8Array, target: Uint8Array, offset: number): number {
    const size = Math.max(0, sealed.length - sealOverheadBytes);
    assertRoom(target, offset, size);
    assertApart(sealed, target, offset, size);
    const { iv, ciphertext } = this.#verified(sealed);
    this.#kernel.crypt(iv, ciphertext, target.subarray(offset, offset + size));
    return size;
  }

  /** Sealed copy of `plain`, owned by the caller. */
  seal(plain: Uint8Array): Uint8Array<ArrayBuffer> {
    const sealed = new Uint8Array(plain.length + sealOverheadBytes);
    this.sealInto(plain, sealed, 0);
    return sealed;
  }

  /** Plain copy of `sealed`, owned by the caller. @throws SEAL_BROKEN */
  open(sealed: Uint8Array): Uint8Array<ArrayBuffer> {
    const plain = new Uint8Array(Math.max(0, sealed.length - sealOverheadBytes));
    this.openInto(sealed, plain, 0);
    return plain;
  }

  /** The parts of `sealed`. @throws SEAL_BROKEN unless they belong together */
  #verified(sealed: Uint8Array): { readonly iv: Uint8Array; readonly ciphertext: Uint8Array } {
    const size = sealed.length - sealOverheadBytes;
    if (size < 0) throw new HoldfastError('SEAL_BROKEN', { details: { sizeBytes: sealed.length } });
    const iv = sealed.subarray(0, ivSizeBytes);
    if (isZero(iv)) throw new HoldfastError('SEAL_BROKEN');
    const ciphertext = sealed.subarray(ivSizeBytes, ivSizeBytes + size);
    this.#authenticate(iv, ciphertext);
    if (!this.#isTagAt(sealed, ivSizeBytes + size)) throw new HoldfastError('SEAL_BROKEN');
    return { iv, ciphertext };
  }

  #drawIv(iv: Uint8Array): void {
    if (!this.#nativeRandom?.(iv)) this.#random.fill(iv);
    assert(!isZero(iv), 'an IV is not all zero');
  }

  /** Takes as long wherever the two differ. */
  #isTagAt(sealed: Uint8Array, offset: number): boolean {
    let difference = 0;
    for (let i = 0; i < tagSizeBytes; i++) difference |= sealed[offset + i]! ^ this.#tag[i]!;
    return difference === 0;
  }

  #authenticate(iv: Uint8Array, ciphertext: Uint8Array): void {
    this.#kernel.encryptNonce(iv, this.#nonce);
    this.#kernel.authenticate(this.#oneTimeKey, ciphertext, this.#tag);
  }
}

function ownKeys(key: SealKey): CipherKeys {
  return { encrypt: key.encrypt.slice(), macK: key.macK.slice() };
}

function assertKey(key: SealKey): void {
  const parts = [
    [key.encrypt, 32],
    [key.macK, 16],
    [key.macR, 16],
  ] as const;
  for (const [bytes, size] of parts) {
    if (bytes.length !== size || isZero(bytes)) throw new HoldfastError('KEY_DAMAGED');
  }
}

/** The counter block so many blocks behind `iv`: a number of 128 bits, the highest first. */
function counterAt(iv: Uint8Array, blocks: number): Uint8Array {
  const counter = iv.slice();
  let carry = blocks;
  for (let at = ivSizeBytes - 1; at >= 0 && carry > 0; at--) {
    const sum = counter[at]! + (carry % 256);
    counter[at] = sum;
    carry = Math.floor(carry / 256) + (sum >> 8);
  }
  return counter;
}

function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false;
  return true;
}

function assertRoom(target: Uint8Array, offset: number, size: number): void {
  assert(Number.isSafeInteger(offset) && offset >= 0, 'an offset is a natural number');
  assert(offset + size <= target.length, 'the sealed or opened bytes fit their target');
}

function assertApart(source: Uint8Array, target: Uint8Array, offset: number, size: number): void {
  if (source.buffer !== target.buffer) return;
  const start = target.byteOffset + offset;
  const isApart = source.byteOffset + source.length <= start || start + size <= source.byteOffset;
  assert(isApart, 'sealed and plain bytes do not overlap');
}

/** The native kernel if it is there and agrees with the portable one on a sample. */
function chooseKernel(): SealKernelFactory {
  const native = bindNativeSeal();
  if (native === undefined) return portableSeal;
  const sample = Uint8Array.from({ length: 100 }, (_, i) => i + 1);
  const keys = { encrypt: sample.subarray(0, 32), macK: sample.subarray(32, 48) };
  const expected = trial({ ...portableSeal(keys), authenticate: poly1305 }, sample);
  return equalBytes(trial(native(keys), sample), expected) ? native : portableSeal;
}

/** What the three parts of a kernel make of `sample`, 100 bytes. */
function trial(kernel: SealKernel, sample: Uint8Array): Uint8Array {
  const result = new Uint8Array(132);
  kernel.crypt(sample.subarray(0, 16), sample, result.subarray(0, 100));
  kernel.encryptNonce(sample.subarray(0, 16), result.subarray(100, 116));
  const oneTimeKey = new Uint8Array(32);
  oneTimeKey.set([9, 8, 7, 6, 5], 0);
  oneTimeKey.set(result.subarray(100, 116), 16);
  kernel.authenticate(oneTimeKey, result.subarray(0, 100), result.subarray(116));
  return result;
}
