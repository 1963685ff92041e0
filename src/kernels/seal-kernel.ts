/** Keys of the two ciphers. A kernel keeps the arrays: the caller must not change them. */
export interface CipherKeys {
  /** AES-256 key, 32 bytes. */
  readonly encrypt: Uint8Array;
  /** AES-128 key for the nonces of the MAC, 16 bytes. */
  readonly macK: Uint8Array;
}

/** What sealing is made of, for one key. Implementations need not check overlap or lengths again. */
export interface SealKernel {
  /** AES-256-CTR from counter block `iv`, both directions. `target` is as long as `source`, and apart from it or the same. */
  crypt(iv: Uint8Array, source: Uint8Array, target: Uint8Array): void;
  /** AES-128 of the one block `nonce`, to the 16 bytes of `target`. */
  encryptNonce(nonce: Uint8Array, target: Uint8Array): void;
  /** Poly1305 of `message` under the 32 bytes of `oneTimeKey` (clamps r), to the 16 bytes of `tag`. */
  authenticate(oneTimeKey: Uint8Array, message: Uint8Array, tag: Uint8Array): void;
}

/** Makes the kernel of a key. */
export type SealKernelFactory = (keys: CipherKeys) => SealKernel;
