/** SHA-256 of `bytes`. */
export function sha256(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const digest = new Uint8Array(32);
  sha256Into(bytes, digest, 0);
  return digest;
}

/** Writes the SHA-256 of `bytes` to `target[offset, offset + 32)`. */
export function sha256Into(bytes: Uint8Array, target: Uint8Array, offset: number): void {
  throw new Error(`not there yet ${bytes.length} ${target.length} ${offset}`);
}
