import { type Clock, systemClock } from './clock.ts';
import { type Random, systemRandom } from './random.ts';

/** What code needs of the world besides storage: the seam that a simulator replaces. */
export interface Environment {
  readonly clock: Clock;
  readonly random: Random;
  /** Work that has threads of its own runs in this one, between turns, so that nothing but the seam decides the order. */
  readonly isSingleThreaded?: true;
}

/** The real world. */
export const systemEnvironment: Environment = { clock: systemClock, random: systemRandom };
