import type { Random } from '../../src/base/random.ts';
import { FuzzRandom } from '../fuzz/random.ts';

/** Choices of a simulation, and the randomness that its clients see: all of it follows from a seed. */
export class Seeded extends FuzzRandom implements Random {
  fill<T extends Uint8Array>(target: T): T {
    for (let at = 0; at < target.byteLength; at += 4) {
      const word = this.next();
      for (let byte = 0; byte < 4 && at + byte < target.byteLength; byte++) {
        target[at + byte] = word >>> (8 * byte);
      }
    }
    return target;
  }

  /** In `[0, 1)`. */
  fraction(): number {
    return this.next() / 2 ** 32;
  }

  /** True with a probability. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  /** In `[from, to)`, small ones as likely as large ones. */
  between(from: number, to: number): number {
    return from * (to / from) ** this.fraction();
  }

  /** Another one, whose choices do not depend on how many are made here later. */
  fork(): Seeded {
    return new Seeded(this.next());
  }
}
