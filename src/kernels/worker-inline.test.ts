import { threadId } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { systemEnvironment } from '../base/environment.ts';
import { WorkerPool } from './worker-pool.ts';

interface TestRequest {
  readonly type: string;
  readonly value?: unknown;
  readonly bytes?: Uint8Array<ArrayBuffer>;
  readonly count?: number;
}

interface TestResponse {
  readonly value?: unknown;
  readonly threadId?: number;
  readonly bytes?: Uint8Array;
}

const module = new URL('./fixtures/test-worker.mjs', import.meta.url);
const environment = { ...systemEnvironment, isSingleThreaded: true } as const;

function startPool(
  size: number,
  address: URL = module,
): Promise<WorkerPool<TestRequest, TestResponse>> {
  return WorkerPool.start(address, { size, workerData: {}, environment });
}

test('answers in this thread, and later', async () => {
  const pool = await startPool(2);
  let isAnswered = false;
  const answer = pool.run({ type: 'echo', value: 7 });
  void answer.then(() => (isAnswered = true));
  expect(isAnswered).toBe(false);
  expect(await answer).toMatchObject({ value: 7, threadId });
  await pool.close();
});

test('transfers and copies as threads do', async () => {
  const pool = await startPool(1);
  const bytes = new Uint8Array([1]);
  const answer = await pool.run({ type: 'transfer', bytes }, [bytes.buffer]);
  expect(answer.bytes).toEqual(new Uint8Array([2]));
  expect(bytes.byteLength).toBe(0);
  const value = { list: [1] };
  const echo = await pool.run({ type: 'echo', value });
  expect(echo.value).toEqual(value);
  expect(echo.value).not.toBe(value);
  await pool.close();
});

test('sends events before the response, and errors with their code', async () => {
  const pool = await startPool(1);
  const heard: unknown[] = [];
  const onEvent = (event: unknown): void => void heard.push(event);
  await pool.run({ type: 'events', count: 3 }, [], { onEvent });
  expect(heard).toMatchObject([{ i: 0 }, { i: 1 }, { i: 2 }]);
  await expect(pool.run({ type: 'own-error' })).rejects.toMatchObject({ code: 'PACK_DAMAGED' });
  await expect(pool.run({ type: 'not-cloneable' })).rejects.toThrow();
  await pool.close();
  await expect(pool.run({ type: 'echo' })).rejects.toMatchObject({ code: 'CANCELLED' });
});

test('fails for a module that serves no worker', async () => {
  const other = new URL('./chunk-limits.ts', import.meta.url);
  await expect(startPool(1, other)).rejects.toMatchObject({ code: 'WORKER_FAILED' });
});
