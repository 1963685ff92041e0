import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { HoldfastError } from '../base/errors.ts';
import { AdaptiveSlots } from './adaptive-slots.ts';

const busy = (): Promise<never> => Promise.reject(new HoldfastError('BACKEND_UNAVAILABLE'));
const done = (): Promise<void> => Promise.resolve();

async function fail(slots: AdaptiveSlots): Promise<void> {
  await expect(slots.run(busy)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
}

test('halves for a storage that does not keep up, never below one, and grows again one by one', async () => {
  const slots = new AdaptiveSlots(8);
  const counts: number[] = [];
  for (let i = 0; i < 4; i++) {
    await fail(slots);
    counts.push(slots.count);
  }
  expect(counts).toEqual([4, 2, 1, 1]);
  // One after one success, another after two more, and so on up to the most.
  for (let i = 0; i < 1 + 2 + 3; i++) await slots.run(done);
  expect(slots.count).toBe(4);
  for (let i = 0; i < 100; i++) await slots.run(done);
  expect(slots.count).toBe(8);
});

test('takes the failures of calls that ran at once for one', async () => {
  const slots = new AdaptiveSlots(8);
  const all = await Promise.allSettled(Array.from({ length: 8 }, () => slots.run(busy)));
  expect(all.every(({ status }) => status === 'rejected')).toBe(true);
  expect(slots.count).toBe(4);
});

test('is not slowed down by other failures', async () => {
  const slots = new AdaptiveSlots(8);
  const absent = slots.run(() => Promise.reject(new HoldfastError('FILE_NOT_FOUND')));
  await expect(absent).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  expect(slots.count).toBe(8);
});

test('runs every call once, in order of arrival, never more at once than are let in', async () => {
  const calls = fc.array(fc.record({ fails: fc.boolean(), turns: fc.nat(5) }), { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 5 }), calls, async (countMax, steps) => {
      const slots = new AdaptiveSlots(countMax);
      const begun: number[] = [];
      let running = 0;
      const work = steps.map(({ fails, turns }, i) =>
        slots.run(async () => {
          begun.push(i);
          running++;
          expect(running).toBeLessThanOrEqual(countMax);
          for (let turn = 0; turn < turns; turn++) await Promise.resolve();
          running--;
          if (fails) throw new HoldfastError('BACKEND_UNAVAILABLE');
        }),
      );
      const ends = await Promise.allSettled(work);
      expect(begun).toEqual([...steps.keys()]);
      expect(ends.map(({ status }) => status === 'rejected')).toEqual(
        steps.map(({ fails }) => fails),
      );
    }),
    { numRuns: 50 },
  );
});
