import { afterAll, beforeAll, expect, test } from 'vitest';

import { describeWith } from '../tools/peers.ts';
import { allCombinations, pairwise, start, type Started } from './matrix.ts';
import { storeFaults } from './faults.ts';
import { storeKinds } from './stores.ts';

/**
 * Faults of storages × operations × stores. Here so few of them that every two values meet; all of them, again and again with other
 * seeds: `npm run soak -- --seconds 600 store-faults`.
 */

const seed = 1;

test('the matrix has every fault, and the sample every two values that can meet', () => {
  const names = Array.from({ length: 26 }, (_, i) => `B${i + 1}`);
  expect(storeFaults.map(({ name }) => name)).toEqual(names);
  const sample = pairwise(seed);
  expect(sample.length).toBeLessThan(allCombinations().length / 4);
  const meet = (of: typeof sample): Set<string> =>
    new Set(
      of.flatMap(({ fault, operation, store }) => [
        `${fault.name} ${operation}`,
        `${fault.name} ${store}`,
      ]),
    );
  expect(meet(sample)).toEqual(meet(allCombinations()));
});

describeWith(['sshd', 'mount'], 'a storage that goes wrong', () => {
  let started: Started;
  beforeAll(async () => {
    started = await start(storeKinds, { resticEvery: 20, s3: 'model' });
  });
  afterAll(() => started.stop());

  test('never makes a snapshot reported that does not restore, and is worked with again when it is sound', async () => {
    const said: string[] = [];
    const cases = pairwise(seed).map((one, at) => ({ ...one, seed: seed + at }));
    const how = { isOver: () => false, tell: (line: string) => void said.push(line) };
    const { runs, strikes } = await started.run(cases, how);
    expect(said).toEqual([]);
    expect(runs).toBe(cases.length);
    // Some breaks come after the last byte.
    expect(strikes).toBeGreaterThan(runs * 0.8);
  });
});
