import { assert } from '../base/assert.ts';
import { equalBytes } from '../base/bytes.ts';
import { bindNativeSha256, type Sha256Kernel } from './native/sha256.ts';
import { portableSha256 } from './portable/sha256.ts';

export { type Sha256Stream, startSha256 } from './portable/sha256.ts';

/** Length of a digest. */
export const sha256SizeBytes = 32;

/** So many digests do without the native kernel: less work than loading it, which a command need not wait for. */
const firstDigestsMax = 16;

let digestCount = 0;
let kernel: Sha256Kernel = (bytes, digest) => {
  digestCount++;
  if (digestCount > firstDigestsMax) kernel = chooseKernel();
  (digestCount > firstDigestsMax ? kernel : portableSha256)(bytes, digest);
};

/** SHA-256 (FIPS 180-4) of `bytes`: 32 bytes, owned by the caller. About 1.5 GB/s where the processor helps. */
export function sha256(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const digest = new Uint8Array(sha256SizeBytes);
  kernel(bytes, digest);
  return digest;
}

/**
 * Writes the SHA-256 of `bytes` to `target[offset, offset + 32)`, without allocating memory for it.
 * The two may overlap.
 * @throws ASSERTION_FAILED if there is no room for 32 bytes
 */
export function sha256Into(bytes: Uint8Array, target: Uint8Array, offset: number): void {
  const isAll = offset === 0 && target.length === sha256SizeBytes;
  const digest = isAll ? target : target.subarray(offset, offset + sha256SizeBytes);
  assert(offset >= 0 && digest.length === sha256SizeBytes, 'a digest has 32 bytes');
  kernel(bytes, digest);
}

/** The native kernel if it is there and agrees with Node's on a sample. */
function chooseKernel(): Sha256Kernel {
  const native = bindNativeSha256();
  if (native === undefined) return portableSha256;
  const sample = Uint8Array.from({ length: 300 }, (_, i) => i);
  const digests = [new Uint8Array(sha256SizeBytes), new Uint8Array(sha256SizeBytes)] as const;
  native(sample, digests[0]);
  portableSha256(sample, digests[1]);
  return equalBytes(digests[0], digests[1]) ? native : portableSha256;
}
