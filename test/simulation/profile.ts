import type { Seeded } from './seeded.ts';
import type { Climate } from './weather.ts';

/** What a seed decides before anything happens. */
export interface Profile {
  readonly clientCount: number;
  /** One of the clients is another program, which knows the format and restic's locks. */
  readonly hasForeign: boolean;
  /** There is a second repository, to copy to. */
  readonly hasSecond: boolean;
  /** Times at which clients do something, more or less together. */
  readonly rounds: number;
  /** Longest time between two rounds. */
  readonly pauseHoursMax: number;
  readonly climate: Omit<Climate, 'powerCuts'>;
  /** Longest time for which listings are behind; 0 for storage whose listings are right. */
  readonly listingLagMsMax: number;
  /** How likely a process dies early. */
  readonly deaths: number;
  readonly pauses: number;
  /** Clocks are wrong by up to so much, and jump. */
  readonly skewMsMax: number;
  /** How likely the storage gets into trouble when somebody works with it. */
  readonly troubles: number;
  /** How likely the storage loses power at a call that changes something. */
  readonly powerCuts: number;
  /** Times that stored files are damaged. */
  readonly damages: number;
  /** The storage goes back to an earlier state once. */
  readonly goesBack: boolean;
}

/** Every trouble is absent in some runs, so that what only shows without it is seen as well. */
export function profileOf(random: Seeded): Profile {
  const often = (of: number, rate: number): number => (random.oneIn(of) ? rate : 0);
  const hasForeign = random.oneIn(3);
  const damages = often(5, 1 + random.below(4));
  return {
    clientCount: 2 + random.below(random.oneIn(5) ? 5 : 3),
    hasForeign,
    hasSecond: random.oneIn(3),
    rounds: 4 + random.below(3),
    pauseHoursMax: random.between(40, 100),
    climate: {
      latencyMs: random.between(1, 400),
      slow: often(2, 0.01),
      unavailable: often(2, random.between(0.001, 0.1)),
      losesAnswer: often(2, random.between(0.001, 0.1)),
      garbles: often(6, 0.01),
    },
    listingLagMsMax: often(4, 600_000),
    deaths: random.oneIn(4) ? 0 : random.between(0.03, 0.4),
    pauses: often(2, random.between(0.02, 0.3)),
    skewMsMax: often(4, random.between(1, 24 * 3_600_000)),
    troubles: often(2, random.between(0.03, 0.3)),
    powerCuts: often(3, random.between(0.01, 0.1)),
    damages,
    // Whoever does not look for his lock before he stores a snapshot, as restic, cannot know.
    goesBack: random.oneIn(4) && !hasForeign && damages === 0,
  };
}
