import { expect, test } from 'vitest';
import { systemEnvironment as environment } from '../../base/environment.ts';
import { indexedWith, testRepository } from '../../repository/index-test-support.ts';
import { Pipeline } from './pipeline.ts';

const monitor = { problem: (): void => {}, note: (): void => {} };

test('what workers may still use is let go when they have ended', async () => {
  const cancelling = new AbortController();
  const context = { environment, monitor, signal: cancelling.signal };
  const indexed = indexedWith(testRepository(), []);
  const pipeline = Pipeline.start(indexed, { workerCount: 1, dryRun: true }, context);
  const released: string[] = [];
  try {
    pipeline.release(() => released.push('while all is well'));
    expect(released).toEqual(['while all is well']);
    const answer = pipeline.send({ type: 'flush' });
    cancelling.abort();
    await expect(answer).rejects.toMatchObject({ code: 'CANCELLED' });
    pipeline.release(() => released.push('after the threads'));
    expect(released).toHaveLength(1);
  } finally {
    await pipeline.close();
  }
  expect(released).toEqual(['while all is well', 'after the threads']);
});
