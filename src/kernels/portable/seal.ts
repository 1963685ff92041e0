import { createCipheriv } from 'node:crypto';
import { createRequire } from 'node:module';
import type { SealKernel, SealKernelFactory } from '../seal-kernel.ts';
import { poly1305 } from './poly1305.ts';

type Authenticate = SealKernel['authenticate'];

/** Ciphers of `node:crypto`; Poly1305 of libsodium where it loads, else our own. */
export const portableSeal: SealKernelFactory = (keys) => ({
  crypt(iv, source, target) {
    const cipher = createCipheriv('aes-256-ctr', keys.encrypt, iv);
    target.set(cipher.update(source));
  },
  encryptNonce(nonce, target) {
    const cipher = createCipheriv('aes-128-ecb', keys.macK, null);
    target.set(cipher.update(nonce));
  },
  authenticate,
});

const authenticate: Authenticate = (oneTimeKey, message, tag) => {
  chosen ??= loadSodium() ?? poly1305;
  chosen(oneTimeKey, message, tag);
};

let chosen: Authenticate | undefined;

/** libsodium's Poly1305, or undefined where its binary does not load. Loading takes some 20 milliseconds. */
export function loadSodium(): Authenticate | undefined {
  try {
    const require = createRequire(import.meta.url);
    const sodium: {
      crypto_onetimeauth(tag: Uint8Array, message: Uint8Array, key: Uint8Array): void;
    } = require('sodium-native');
    return (oneTimeKey, message, tag) => sodium.crypto_onetimeauth(tag, message, oneTimeKey);
  } catch {
    return undefined;
  }
}
