import { expect, test } from 'vitest';
import { toHex } from '../../base/bytes.ts';
import { systemEnvironment as environment } from '../../base/environment.ts';
import { chunkSizeBytesMin } from '../../kernels/chunker.ts';
import { sha256 } from '../../kernels/sha256.ts';
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

test('a stream in one short part is the chunk that it is in two parts', async () => {
  const indexed = indexedWith(testRepository(), []);
  const pipeline = Pipeline.start(
    indexed,
    { workerCount: 1, dryRun: true },
    { environment, monitor },
  );
  const idsOf = async (parts: readonly Uint8Array[]): Promise<string> => {
    const ids: string[] = [];
    for (const [number, part] of parts.entries()) {
      const [isFirst, isLast] = [number === 0, number === parts.length - 1];
      const answer = await pipeline.send({ type: 'stream', bytes: part.slice(), isFirst, isLast });
      ids.push(toHex(answer.ids));
    }
    return ids.join('');
  };
  try {
    for (const sizeBytes of [0, 1, 1000, chunkSizeBytesMin - 1, chunkSizeBytesMin]) {
      const bytes = new Uint8Array(sizeBytes).fill(sizeBytes);
      const whole = sizeBytes === 0 ? '' : toHex(sha256(bytes));
      expect(await idsOf([bytes])).toBe(whole);
      expect(await idsOf([bytes.subarray(0, 1), bytes.subarray(1)])).toBe(whole);
    }
    // One of zeros is cut where it may be cut first.
    const longer = new Uint8Array(chunkSizeBytesMin + 1);
    const cut = [longer.subarray(1), longer.subarray(0, 1)].map((part) => toHex(sha256(part)));
    expect(await idsOf([longer])).toBe(cut.join(''));
  } finally {
    await pipeline.close();
  }
});
