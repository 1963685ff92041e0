import { assert } from '../base/assert.ts';
import { isHoldfastError } from '../base/errors.ts';

/**
 * Lets some calls in at once; others wait in order of arrival. A storage that does not keep up gets fewer: half as many after a failure of a
 * call that began since the last halving, and one more after as many successes as are let in (additive increase, multiplicative
 * decrease). So many clients that were refused at once do not come back at once with all they have.
 */
export class AdaptiveSlots {
  readonly #countMax: number;
  readonly #waiting: (() => void)[] = [];
  #count: number;
  #runningCount = 0;
  #successCount = 0;
  #halvings = 0;

  constructor(countMax: number) {
    assert(Number.isInteger(countMax) && countMax > 0, 'at least one call is let in');
    this.#countMax = countMax;
    this.#count = countMax;
  }

  /** How many are let in at this moment. */
  get count(): number {
    return this.#count;
  }

  /** Runs `work` in a slot. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#runningCount < this.#count) this.#runningCount++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const halvings = this.#halvings;
    try {
      const result = await work();
      this.#succeed();
      return result;
    } catch (error) {
      if (isHoldfastError(error, 'BACKEND_UNAVAILABLE')) this.#fail(halvings);
      throw error;
    } finally {
      this.#runningCount--;
      this.#letIn();
    }
  }

  #succeed(): void {
    if (this.#count === this.#countMax) return;
    this.#successCount++;
    if (this.#successCount < this.#count) return;
    this.#successCount = 0;
    this.#count++;
  }

  /** Calls that were under way when one failed tell the same again. */
  #fail(halvingsAtStart: number): void {
    if (halvingsAtStart !== this.#halvings) return;
    this.#halvings++;
    this.#successCount = 0;
    this.#count = Math.max(1, Math.floor(this.#count / 2));
  }

  #letIn(): void {
    while (this.#runningCount < this.#count) {
      const next = this.#waiting.shift();
      if (!next) return;
      this.#runningCount++;
      next();
    }
  }
}
