import { randomInt } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { feed, fuzz, keptCases } from './run-target.ts';
import { fuzzTargets } from './targets.ts';

const given = process.env['HOLDFAST_FUZZ_SEED'];
const seconds = process.env['HOLDFAST_FUZZ_SECONDS'];
const newSeed = given === undefined ? randomInt(2 ** 31) : Number(given);
console.log(`HOLDFAST_FUZZ_SEED=${newSeed}`);

describe.each(fuzzTargets.map((target) => [target.name, target] as const))('%s', (_, target) => {
  test('stands what it once failed at', async () => {
    await target.seeds();
    for (const { input } of keptCases(target)) await feed(target, input);
  });

  // One seed that every run has, and one that none had before.
  test.each([1, newSeed])('stands hostile input, seed %i', { timeout: 3_600_000 }, async (seed) => {
    const limits = seconds ? { seconds: Number(seconds) } : { runs: target.runsInCi };
    const { failure } = await fuzz(target, { seed, ...limits });
    expect(failure?.text).toBeUndefined();
  });
});
