import type { Random } from '../base/random.ts';

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

/** Seals and opens: AES-256-CTR and Poly1305-AES. One instance per thread. */
export class Sealer {
  constructor(key: SealKey, random: Random) {
    void key;
    void random;
  }

  /** Writes `IV, ciphertext, tag` to `target` at `offset`; returns the bytes written: `plain` + 32. */
  sealInto(plain: Uint8Array, target: Uint8Array, offset: number): number {
    throw new Error(`not there yet ${plain.length} ${target.length} ${offset}`);
  }

  /** Verifies, then decrypts to `target` at `offset`; returns the bytes written. @throws SEAL_BROKEN */
  openInto(sealed: Uint8Array, target: Uint8Array, offset: number): number {
    throw new Error(`not there yet ${sealed.length} ${target.length} ${offset}`);
  }

  /** Sealed copy of `plain`. */
  seal(plain: Uint8Array): Uint8Array<ArrayBuffer> {
    const sealed = new Uint8Array(plain.length + sealOverheadBytes);
    this.sealInto(plain, sealed, 0);
    return sealed;
  }

  /** Plain copy of `sealed`. @throws SEAL_BROKEN */
  open(sealed: Uint8Array): Uint8Array<ArrayBuffer> {
    const plain = new Uint8Array(Math.max(0, sealed.length - sealOverheadBytes));
    this.openInto(sealed, plain, 0);
    return plain;
  }
}
