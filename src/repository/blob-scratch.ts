/** What most trees, and all of a small repository, need. */
const littleSizeBytes = 64 << 10;

/** A reusable buffer for intermediate bytes of one synchronous step. Not zeroed between uses. */
export class BlobScratch {
  readonly #keepSizeBytes: number;
  #bytes: Uint8Array<ArrayBuffer> | undefined;

  /**
   * @param keepSizeBytes size to keep at most; larger needs are allocated for one use. It is allocated once, when more
   *   than a little is needed
   */
  constructor(keepSizeBytes: number) {
    this.#keepSizeBytes = keepSizeBytes;
  }

  /** At least `sizeBytes` bytes of any content, valid until the next call. */
  take(sizeBytes: number): Uint8Array<ArrayBuffer> {
    if (sizeBytes > this.#keepSizeBytes) return new Uint8Array(sizeBytes);
    if (this.#bytes && sizeBytes <= this.#bytes.byteLength) return this.#bytes;
    const isLittle = sizeBytes <= littleSizeBytes && littleSizeBytes < this.#keepSizeBytes;
    this.#bytes = new Uint8Array(isLittle ? littleSizeBytes : this.#keepSizeBytes);
    return this.#bytes;
  }
}
