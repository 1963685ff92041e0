interface Waiter {
  readonly sizeBytes: number;
  readonly start: () => void;
}

/** What may be under way at once: requests, and bytes of file contents. */
export class Budget {
  readonly #waiting: Waiter[] = [];
  #requests: number;
  #bytes: number;

  constructor(limits: { readonly requests: number; readonly bytes: number }) {
    this.#requests = limits.requests;
    this.#bytes = limits.bytes;
  }

  /** Calls `start` at once or when it may, strictly in the order of the calls. */
  take(sizeBytes: number, start: () => void): void {
    this.#waiting.push({ sizeBytes, start });
    this.#startSome();
  }

  give(sizeBytes: number): void {
    this.#requests++;
    this.#bytes += sizeBytes;
    this.#startSome();
  }

  #startSome(): void {
    for (;;) {
      const next = this.#waiting[0];
      // One whose content is larger than what is left goes as well, so that it goes at all.
      if (!next || this.#requests <= 0 || (this.#bytes <= 0 && next.sizeBytes > 0)) return;
      this.#waiting.shift();
      this.#requests--;
      this.#bytes -= next.sizeBytes;
      next.start();
    }
  }
}
