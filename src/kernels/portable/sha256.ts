import { hash } from 'node:crypto';
import type { Sha256Kernel } from '../native/sha256.ts';

/** Node's own one-shot hash. */
export const portableSha256: Sha256Kernel = (bytes, digest) => {
  digest.set(hash('sha256', bytes, 'buffer'));
};
