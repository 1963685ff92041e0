import { assert } from '../../base/assert.ts';
import { bindNative, pointerFrom, releaseAtExit } from './library.ts';

const pointer = 'void *';

/** Writes the SHA-256 of `bytes` to the 32 bytes of `digest`. */
export type Sha256Kernel = (bytes: Uint8Array, digest: Uint8Array) => void;

/**
 * OpenSSL's one-shot function with an algorithm that was looked up once: `SHA256` looks it up at each call, which takes
 * longer than the hash of 200 bytes. No object per call. Undefined where it cannot be bound.
 * @see OpenSSL 3 manual, EVP_DigestInit(3)
 */
export function bindNativeSha256(): Sha256Kernel | undefined {
  const functions = bindNative((program) => ({
    fetchKind: program.func('EVP_MD_fetch', pointer, [pointer, 'str', pointer]),
    freeKind: program.func('EVP_MD_free', 'void', [pointer]),
    digest: program.func('EVP_Digest', 'int', [
      pointer,
      'size_t',
      pointer,
      pointer,
      pointer,
      pointer,
    ]),
  }));
  if (functions === undefined) return undefined;
  const { fetchKind, freeKind, digest: digestOf } = functions;
  const kind = fetchKind(null, 'SHA256', null);
  if (kind === null) return undefined;
  const sha256 = pointerFrom(kind, 'SHA-256');
  releaseAtExit(() => freeKind(sha256));
  return (bytes, digest) => {
    assert(digest.length === 32, 'a SHA-256 digest has 32 bytes');
    assert(digestOf(bytes, bytes.length, digest, null, sha256, null) === 1, 'SHA-256 succeeds');
  };
}
