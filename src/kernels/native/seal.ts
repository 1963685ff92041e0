import { assert } from '../../base/assert.ts';
import type { CipherKeys, SealKernel, SealKernelFactory } from '../seal-kernel.ts';
import {
  assertDone,
  bindOpenSsl,
  openContexts,
  type OpenSsl,
  type OpenSslContexts,
} from './openssl.ts';

/** OpenSSL counts the bytes of one update in an `int`; longer inputs go in several. */
const updateSizeBytesMax = 2 ** 30;

/**
 * OpenSSL's ciphers and Poly1305 with contexts that live as long as the thread. Sealing takes 3 microseconds
 * for 2 kB and 330 for 1 MiB; through `node:crypto` the small blob takes 12, most of it for objects.
 *
 * @param updateSizeBytes bytes that go to OpenSSL at once; tests give less
 * @returns undefined where the functions cannot be bound
 */
export function bindNativeSeal(
  updateSizeBytes: number = updateSizeBytesMax,
): SealKernelFactory | undefined {
  const openSsl = bindOpenSsl();
  if (openSsl === undefined) return undefined;
  const shared = new SharedContexts(openSsl, updateSizeBytes);
  return (keys) => new NativeSealKernel(openSsl, shared, keys);
}

/** The thread's contexts, which hold the keys of the kernel that used them last. */
class SharedContexts {
  readonly updateSizeBytes: number;
  readonly #openSsl: OpenSsl;
  #contexts: OpenSslContexts | undefined;
  #loaded: CipherKeys | undefined;

  constructor(openSsl: OpenSsl, updateSizeBytes: number) {
    this.#openSsl = openSsl;
    this.updateSizeBytes = updateSizeBytes;
  }

  use(keys: CipherKeys): OpenSslContexts {
    this.#contexts ??= openContexts(this.#openSsl);
    if (this.#loaded !== keys) this.#load(this.#contexts, keys);
    return this.#contexts;
  }

  #load(contexts: OpenSslContexts, keys: CipherKeys): void {
    const { initialize, aes256Ctr, aes128Ecb } = this.#openSsl;
    this.#loaded = undefined;
    assertDone(initialize(contexts.ctr, addressOf(aes256Ctr()), null, keys.encrypt, null), 'AES');
    assertDone(initialize(contexts.ecb, addressOf(aes128Ecb()), null, keys.macK, null), 'AES');
    this.#loaded = keys;
  }
}

class NativeSealKernel implements SealKernel {
  readonly #openSsl: OpenSsl;
  readonly #shared: SharedContexts;
  readonly #keys: CipherKeys;
  readonly #written: Int32Array = new Int32Array(1);

  constructor(openSsl: OpenSsl, shared: SharedContexts, keys: CipherKeys) {
    assert(keys.encrypt.length === 32, 'an AES-256 key has 32 bytes');
    assert(keys.macK.length === 16, 'an AES-128 key has 16 bytes');
    this.#openSsl = openSsl;
    this.#shared = shared;
    this.#keys = keys;
  }

  crypt(iv: Uint8Array, source: Uint8Array, target: Uint8Array): void {
    assert(iv.length === 16, 'a counter block has 16 bytes');
    assert(source.length === target.length, 'plaintext and ciphertext have one length');
    const { ctr } = this.#shared.use(this.#keys);
    assertDone(this.#openSsl.initialize(ctr, null, null, null, iv), 'AES-256-CTR');
    const step = this.#shared.updateSizeBytes;
    if (source.length <= step) {
      if (source.length > 0) this.#update(ctr, source, target);
      return;
    }
    for (let start = 0; start < source.length; start += step) {
      const end = Math.min(start + step, source.length);
      this.#update(ctr, source.subarray(start, end), target.subarray(start, end));
    }
  }

  encryptNonce(nonce: Uint8Array, target: Uint8Array): void {
    assert(nonce.length === 16 && target.length === 16, 'a nonce is one block');
    this.#update(this.#shared.use(this.#keys).ecb, nonce, target);
  }

  authenticate(oneTimeKey: Uint8Array, message: Uint8Array, tag: Uint8Array): void {
    assert(
      oneTimeKey.length === 32 && tag.length === 16,
      'Poly1305 has 32 bytes key, 16 bytes tag',
    );
    const { startMac, updateMac, finishMac } = this.#openSsl;
    const { poly1305 } = this.#shared.use(this.#keys);
    assertDone(startMac(poly1305, oneTimeKey, 32, null), 'Poly1305');
    if (message.length > 0) assertDone(updateMac(poly1305, message, message.length), 'Poly1305');
    assertDone(finishMac(poly1305, tag, null, 16), 'Poly1305');
  }

  #update(context: bigint, source: Uint8Array, target: Uint8Array): void {
    const written = this.#written;
    const result = this.#openSsl.update(context, target, written, source, source.length);
    assertDone(result, 'AES');
    assert(written[0] === source.length, 'AES writes as much as it reads');
  }
}

function addressOf(value: number | bigint | null): bigint {
  assert(value !== null, 'OpenSSL has AES');
  return BigInt(value);
}
