import type { Profile } from './profile.ts';
import { simulate, type SimulationOptions, type SimulationResult } from './simulation.ts';

/** What is tried to make a failure smaller, the largest step first. */
const steps: readonly Partial<Profile>[] = [
  { troubles: 0, powerCuts: 0 },
  { skewMsMax: 0 },
  { pauses: 0 },
  { deaths: 0 },
  { listingLagMsMax: 0 },
  { climate: { latencyMs: 50, slow: 0, unavailable: 0, losesAnswer: 0, garbles: 0 } },
  { clientCount: 2 },
  { rounds: 2 },
  { rounds: 4 },
  { rounds: 6 },
];

/** Leaves out what a failing seed does not need to fail. */
export async function shrink(
  seed: number,
  options: SimulationOptions,
): Promise<{ readonly profile: Partial<Profile>; readonly result: SimulationResult }> {
  let profile: Partial<Profile> = options.profile ?? {};
  let result = await simulate(seed, options);
  for (const step of steps) {
    const tried = { ...profile, ...step };
    const smaller = await simulate(seed, { ...options, profile: tried });
    const isSmaller = smaller.notes.length < result.notes.length;
    if (smaller.failures.length === 0 || !isSmaller) continue;
    profile = tried;
    result = smaller;
  }
  return { profile, result };
}
