import type { Clock } from '../base/clock.ts';
import { wrongCountMax, wrongForgottenMs } from './limits.ts';

/** What is known of somebody who was wrong. */
interface Tries {
  count: number;
  /** When `count` was right; one is forgotten each `wrongForgottenMs` since. */
  atMs: number;
}

/** Those that are remembered at once. Above it all is forgotten: the total of what is verified at once stays limited. */
const rememberedCountMax = 100_000;

/** Counts wrong passwords, so that who sends many must wait between them. */
export class WrongTries {
  readonly #clock: Clock;
  readonly #tries: Map<string, Tries> = new Map();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True if `who` must wait. */
  isOver(who: string): boolean {
    return this.#count(who) >= wrongCountMax;
  }

  add(who: string): void {
    if (this.#tries.size >= rememberedCountMax) this.#tries.clear();
    this.#tries.set(who, { count: this.#count(who) + 1, atMs: this.#clock.monotonicMs() });
  }

  forget(who: string): void {
    this.#tries.delete(who);
  }

  #count(who: string): number {
    const tries = this.#tries.get(who);
    if (!tries) return 0;
    const passedMs = this.#clock.monotonicMs() - tries.atMs;
    const count = tries.count - passedMs / wrongForgottenMs;
    if (count > 0) return count;
    this.#tries.delete(who);
    return 0;
  }
}
