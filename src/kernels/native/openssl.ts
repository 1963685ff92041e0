import { assert } from '../../base/assert.ts';
import {
  bindNative,
  type NativeFunction,
  type NativePointer,
  type NativeProgram,
  pointerFrom,
  releaseAtExit,
} from './library.ts';

const pointer = 'void *';

/** The functions of libcrypto that sealing needs; names as in its manual, without the prefix. */
export interface OpenSsl {
  readonly newCipher: NativeFunction;
  readonly freeCipher: NativeFunction;
  readonly aes256Ctr: NativeFunction;
  readonly aes128Ecb: NativeFunction;
  readonly initialize: NativeFunction;
  readonly update: NativeFunction;
  readonly fetchMac: NativeFunction;
  readonly freeMacKind: NativeFunction;
  readonly newMac: NativeFunction;
  readonly freeMac: NativeFunction;
  readonly startMac: NativeFunction;
  readonly updateMac: NativeFunction;
  readonly finishMac: NativeFunction;
}

/** Undefined where one of them cannot be bound. @see OpenSSL 3 manual, EVP_EncryptInit(3), EVP_MAC(3) */
export function bindOpenSsl(): OpenSsl | undefined {
  return bindNative((program: NativeProgram) => ({
    newCipher: program.func('EVP_CIPHER_CTX_new', pointer, []),
    freeCipher: program.func('EVP_CIPHER_CTX_free', 'void', [pointer]),
    aes256Ctr: program.func('EVP_aes_256_ctr', pointer, []),
    aes128Ecb: program.func('EVP_aes_128_ecb', pointer, []),
    initialize: program.func('EVP_EncryptInit_ex', 'int', pointers(5)),
    update: program.func('EVP_EncryptUpdate', 'int', [...pointers(4), 'int']),
    fetchMac: program.func('EVP_MAC_fetch', pointer, [pointer, 'str', pointer]),
    freeMacKind: program.func('EVP_MAC_free', 'void', [pointer]),
    newMac: program.func('EVP_MAC_CTX_new', pointer, [pointer]),
    freeMac: program.func('EVP_MAC_CTX_free', 'void', [pointer]),
    startMac: program.func('EVP_MAC_init', 'int', [pointer, pointer, 'size_t', pointer]),
    updateMac: program.func('EVP_MAC_update', 'int', [pointer, pointer, 'size_t']),
    finishMac: program.func('EVP_MAC_final', 'int', [...pointers(3), 'size_t']),
  }));
}

/** The contexts of one thread; all its kernels take turns with them. */
export interface OpenSslContexts {
  readonly ctr: NativePointer;
  readonly ecb: NativePointer;
  readonly poly1305: NativePointer;
}

/** Opens contexts that are freed when the thread ends. */
export function openContexts(openSsl: OpenSsl): OpenSslContexts {
  const ctr = pointerFrom(openSsl.newCipher(), 'a cipher context');
  const ecb = pointerFrom(openSsl.newCipher(), 'a cipher context');
  const kind = pointerFrom(openSsl.fetchMac(null, 'POLY1305', null), 'Poly1305');
  const poly1305 = pointerFrom(openSsl.newMac(kind), 'a MAC context');
  openSsl.freeMacKind(kind);
  releaseAtExit(() => {
    openSsl.freeCipher(ctr);
    openSsl.freeCipher(ecb);
    openSsl.freeMac(poly1305);
  });
  return { ctr, ecb, poly1305 };
}

/** Throws unless `result` is OpenSSL's 1 for success. */
export function assertDone(result: number | bigint | null, what: string): void {
  assert(result === 1, `${what} succeeds`);
}

function pointers(count: number): string[] {
  return Array.from({ length: count }, () => pointer);
}
