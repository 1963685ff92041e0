import { createHash, hash } from 'node:crypto';
import type { Sha256Kernel } from '../native/sha256.ts';

/** Node's own one-shot hash. */
export const portableSha256: Sha256Kernel = (bytes, digest) => {
  digest.set(hash('sha256', bytes, 'buffer'));
};

/** Takes the bytes in any pieces. */
export interface Sha256Stream {
  update(bytes: Uint8Array): void;
  /** The digest of everything so far: 32 bytes. Ends the stream. */
  digest(): Uint8Array;
}

/** Node's own hash of bytes that come in pieces. */
export function startSha256(): Sha256Stream {
  const stream = createHash('sha256');
  return {
    update: (bytes) => void stream.update(bytes),
    digest: () => Uint8Array.from(stream.digest()),
  };
}
