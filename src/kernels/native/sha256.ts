import { assert } from '../../base/assert.ts';
import { bindNative } from './library.ts';

/** Writes the SHA-256 of `bytes` to the 32 bytes of `digest`. */
export type Sha256Kernel = (bytes: Uint8Array, digest: Uint8Array) => void;

/** OpenSSL's one-shot function: no object per call. Undefined where it cannot be bound. */
export function bindNativeSha256(): Sha256Kernel | undefined {
  const digestOf = bindNative((program) =>
    program.func('SHA256', 'void *', ['void *', 'size_t', 'void *']),
  );
  if (digestOf === undefined) return undefined;
  return (bytes, digest) => {
    assert(digest.length === 32, 'a SHA-256 digest has 32 bytes');
    assert(digestOf(bytes, bytes.length, digest) !== null, 'SHA256 succeeds');
  };
}
