/** A reusable buffer for intermediate bytes of one synchronous step. Not zeroed between uses. */
export class BlobScratch {
  readonly #keepSizeBytes: number;
  #bytes: Uint8Array<ArrayBuffer> | undefined;

  /** @param keepSizeBytes size to allocate once and keep; larger needs are allocated for one use */
  constructor(keepSizeBytes: number) {
    this.#keepSizeBytes = keepSizeBytes;
  }

  /** At least `sizeBytes` bytes of any content, valid until the next call. */
  take(sizeBytes: number): Uint8Array<ArrayBuffer> {
    if (sizeBytes > this.#keepSizeBytes) return new Uint8Array(sizeBytes);
    this.#bytes ??= new Uint8Array(this.#keepSizeBytes);
    return this.#bytes;
  }
}
