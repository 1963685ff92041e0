/** Time over which a rate is averaged. */
const windowMs = 10_000;
const sampleCountMax = 100;

interface Sample {
  readonly atMs: number;
  readonly value: number;
}

/** The rate at which a number grows, over the last seconds. */
export class RateMeter {
  readonly #samples: Sample[] = [];

  /** @param atMs monotonic time */
  add(atMs: number, value: number): void {
    const last = this.#samples.at(-1);
    if (last && atMs - last.atMs < windowMs / sampleCountMax) return;
    this.#samples.push({ atMs, value });
    while (this.#samples.length > 2 && atMs - (this.#samples[0]?.atMs ?? 0) > windowMs) {
      this.#samples.shift();
    }
  }

  /** Growth a second; undefined until there is something to tell it from. */
  perSecond(): number | undefined {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || last.atMs - first.atMs < 200) return undefined;
    return ((last.value - first.value) * 1000) / (last.atMs - first.atMs);
  }
}
