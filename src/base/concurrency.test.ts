import { expect, test } from 'vitest';
import { forEachConcurrent } from './concurrency.ts';

async function* failing(): AsyncGenerator<number> {
  yield 1;
  yield 2;
  throw new Error('no more items');
}

test('forEachConcurrent ends when all that runs has ended, also if the items fail', async () => {
  let ended = 0;
  const work = async (): Promise<void> => {
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    ended++;
  };
  await expect(forEachConcurrent(failing(), 4, work)).rejects.toThrow('no more items');
  expect(ended).toBe(2);
});
