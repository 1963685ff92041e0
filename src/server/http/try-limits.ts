import type { Clock } from '../../base/clock.ts';
import { HoldfastError } from '../../base/errors.ts';

/** Wrong tries that cost nothing, of one person from one address, and of one address whoever it names. */
const freeCountOfPerson = 5;
const freeCountOfAddress = 30;

/** The first pause, and the longest, in milliseconds; each wrong try doubles it. */
const pauseMsMin = 1000;
const pauseMsMax = 15 * 60_000;

/** Wrong tries are forgotten so long after the last one. */
const forgottenMs = 3_600_000;

/** Those that are remembered at once. */
const rememberedCountMax = 10_000;

interface Tries {
  readonly count: number;
  readonly lastMs: number;
}

/** Makes who was wrong wait, longer each time. Nobody is shut out for ever. */
export class TryLimits {
  readonly #clock: Clock;
  readonly #tries = new Map<string, Tries>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws TOO_MANY_TRIES, with how long to wait */
  assertMayTry(name: string, address: string): void {
    const waitMs = Math.max(
      this.#waitMs(personKey(name, address), freeCountOfPerson),
      this.#waitMs(address, freeCountOfAddress),
    );
    if (waitMs > 0) throw new HoldfastError('TOO_MANY_TRIES', { retryAfterMs: waitMs });
  }

  wrong(name: string, address: string): void {
    for (const key of [personKey(name, address), address]) {
      if (this.#tries.size >= rememberedCountMax) this.#dropOldest();
      const count = this.#count(key) + 1;
      this.#tries.delete(key);
      this.#tries.set(key, { count, lastMs: this.#clock.monotonicMs() });
    }
  }

  right(name: string, address: string): void {
    this.#tries.delete(personKey(name, address));
  }

  #waitMs(key: string, freeCount: number): number {
    const over = this.#count(key) - freeCount;
    if (over < 0) return 0;
    const pauseMs = Math.min(pauseMsMin * 2 ** over, pauseMsMax);
    const passedMs = this.#clock.monotonicMs() - (this.#tries.get(key)?.lastMs ?? 0);
    return Math.max(0, pauseMs - passedMs);
  }

  #count(key: string): number {
    const tries = this.#tries.get(key);
    if (!tries || this.#clock.monotonicMs() - tries.lastMs > forgottenMs) return 0;
    return tries.count;
  }

  /** A map keeps the order in which its keys came. */
  #dropOldest(): void {
    const [oldest] = this.#tries.keys();
    if (oldest !== undefined) this.#tries.delete(oldest);
  }
}

function personKey(name: string, address: string): string {
  return `${name}\n${address}`;
}
