import { threadId } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { systemEnvironment } from '../base/environment.ts';
import { HoldfastError } from '../base/errors.ts';
import { WorkerPool } from './worker-pool.ts';

interface TestRequest {
  readonly type: string;
  readonly value?: unknown;
  readonly bytes?: Uint8Array<ArrayBuffer>;
  readonly count?: number;
  readonly ms?: number;
}

interface TestResponse {
  readonly value?: unknown;
  readonly threadId?: number;
  readonly workerData?: unknown;
  readonly bytes?: Uint8Array;
  readonly isCancelled?: boolean;
  readonly served?: number;
}

type TestPool = WorkerPool<TestRequest, TestResponse>;

const module = new URL('./fixtures/test-worker.mjs', import.meta.url);
const open: TestPool[] = [];

async function startPool(
  size: number,
  workerData: unknown = {},
  how: { readonly youngHeapMiB?: number } = {},
): Promise<TestPool> {
  const options = { size, workerData, environment: systemEnvironment, ...how };
  const pool = await WorkerPool.start<TestRequest, TestResponse>(module, options);
  open.push(pool);
  return pool;
}

async function failure(promise: Promise<unknown>): Promise<HoldfastError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof HoldfastError))
    throw new Error('a HoldfastError was expected', { cause: error });
  return error;
}

function refuseEvent(): never {
  throw new HoldfastError('STORAGE_FULL');
}

/** Occupies the pool's first thread for `ms`; resolves once the thread is at it. */
function block(pool: TestPool, ms: number): Promise<{ readonly answer: Promise<TestResponse> }> {
  return new Promise((resolve) => {
    const onEvent = (): void => resolve({ answer });
    const answer = pool.runOn(0, { type: 'block', ms }, [], { onEvent });
    answer.catch(() => {});
  });
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((pool) => pool.close()));
});

describe('WorkerPool', () => {
  it('answers requests on other threads, with workerData', async () => {
    const pool = await startPool(2, { name: 'data' });
    expect(pool.size).toBe(2);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, value) => pool.run({ type: 'echo', value })),
    );
    expect(answers.map((answer) => answer.value)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(answers[0]?.workerData).toEqual({ name: 'data' });
    const threads = new Set(answers.map((answer) => answer.threadId));
    expect(threads.size).toBe(2);
    expect(threads.has(threadId)).toBe(false);
  });

  it('waits for threads that take minutes to start', async () => {
    const { clock } = systemEnvironment;
    // Minutes pass at once, as they seem to on a machine that is busy with other things.
    const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
      clock.sleep(ms <= 300_000 ? 0 : ms, signal);
    const environment = { ...systemEnvironment, clock: { ...clock, sleep } };
    const options = { size: 2, workerData: {}, environment };
    const pool = await WorkerPool.start<TestRequest, TestResponse>(module, options);
    open.push(pool);
    expect((await pool.run({ type: 'echo', value: 1 })).value).toBe(1);
  });

  it('runs on the named worker, and on all', async () => {
    const pool = await startPool(3);
    const all = await pool.broadcast({ type: 'echo' });
    expect(new Set(all.map((answer) => answer.threadId)).size).toBe(3);
    for (const worker of [2, 0, 1]) {
      const answer = await pool.runOn(worker, { type: 'echo' });
      expect(answer.threadId).toBe(all[worker]?.threadId);
    }
    expect(() => pool.runOn(3, { type: 'echo' })).toThrow('the pool has such a worker');
  });

  it('does not let a request for a busy worker hold up the others', async () => {
    const pool = await startPool(2);
    const slow = [1, 2, 3].map(() => pool.runOn(0, { type: 'block', ms: 100 }));
    const order: string[] = [];
    const watched = slow.map((promise) => promise.then(() => order.push('slow')));
    const quick = pool.run({ type: 'echo' }).then(() => order.push('quick'));
    await Promise.all([...watched, quick]);
    expect(order).toEqual(['quick', 'slow', 'slow', 'slow']);
  });

  it('moves buffers both ways', async () => {
    const pool = await startPool(1);
    const bytes = new Uint8Array([41, 2, 3]);
    const answer = await pool.run({ type: 'transfer', bytes }, [bytes.buffer]);
    expect(bytes.length).toBe(0);
    expect(answer.bytes).toEqual(new Uint8Array([42, 2, 3]));
  });

  it('delivers the events of a request in order, before its response', async () => {
    const pool = await startPool(1);
    const events: unknown[] = [];
    await pool.run({ type: 'events', count: 3 }, [], { onEvent: (event) => events.push(event) });
    expect(events).toEqual([0, 1, 2].map((i) => ({ i, bytes: new Uint8Array([i]) })));
    await pool.run({ type: 'events', count: 3 });
  });

  it('gives its threads less room for new objects where that is asked for, and later ones all', async () => {
    const sizes: number[] = [];
    for (const how of [{ youngHeapMiB: 1 }, {}]) {
      const pool = await startPool(1, {}, how);
      sizes.push(Number((await pool.run({ type: 'young' })).value) / 2 ** 20);
    }
    expect(sizes[0]).toBeLessThanOrEqual(4);
    expect(sizes[1]).toBeGreaterThan(4);
  });

  it('rejects the request whose event handler throws', async () => {
    const pool = await startPool(1);
    const options = { onEvent: refuseEvent };
    const error = await failure(pool.run({ type: 'events', count: 2 }, [], options));
    expect(error.code).toBe('STORAGE_FULL');
    expect((await pool.run({ type: 'echo', value: 1 })).value).toBe(1);
  });
});

describe('WorkerPool errors', () => {
  it('carries our errors across whole', async () => {
    const pool = await startPool(1);
    const error = await failure(pool.run({ type: 'own-error' }));
    expect(error).toMatchObject({
      code: 'PACK_DAMAGED',
      message: 'a pack is broken',
      details: { packId: 'abc', sizeBytes: 2n ** 60n },
      hint: 'do something',
      cause: { message: 'inner', code: 'ENOENT' },
    });
    expect(error.stack).toContain('test-worker.mjs');
    expect((await pool.run({ type: 'echo', value: 1 })).value).toBe(1);
  });

  it('wraps other errors, and answers that cannot be sent', async () => {
    const pool = await startPool(1);
    const foreign = await failure(pool.run({ type: 'foreign-error' }));
    expect(foreign).toMatchObject({
      code: 'WORKER_FAILED',
      cause: { name: 'RangeError', message: 'out of range' },
    });
    expect((await failure(pool.run({ type: 'not-cloneable' }))).code).toBe('WORKER_FAILED');
    const request = { type: 'echo', value: () => {} };
    expect((await failure(pool.run(request))).code).toBe('WORKER_FAILED');
    expect((await pool.run({ type: 'echo', value: 1 })).value).toBe(1);
  });

  it('ends the pool when a thread dies', async () => {
    for (const type of ['exit', 'crash']) {
      const pool = await startPool(2);
      const dying = pool.runOn(0, { type });
      const behind = pool.runOn(0, { type: 'echo' });
      const queued = pool.runOn(0, { type: 'echo' });
      for (const promise of [dying, behind, queued]) {
        expect((await failure(promise)).code).toBe('WORKER_FAILED');
      }
      expect((await failure(pool.run({ type: 'echo' }))).code).toBe('WORKER_FAILED');
      await pool.close();
    }
  });

  it('fails to start where the module does', async () => {
    const error = await failure(startPool(2, { failStart: true }));
    expect(error).toMatchObject({ code: 'WORKER_FAILED', cause: { message: 'no start' } });
    const missing = new URL('./fixtures/no-such-worker.mjs', import.meta.url);
    const options = { size: 1, workerData: {}, environment: systemEnvironment };
    expect((await failure(WorkerPool.start(missing, options))).code).toBe('WORKER_FAILED');
  });

  it('gives up on a thread that does not start', async () => {
    // A clock whose long waits are over at once.
    const clock = { ...systemClock, sleep: (): Promise<void> => systemClock.nextTurn() };
    const environment = { ...systemEnvironment, clock };
    const options = { size: 1, workerData: { neverServe: true }, environment };
    const error = await failure(WorkerPool.start(module, options));
    expect(error).toMatchObject({ code: 'WORKER_FAILED', details: { startMsMax: 600_000 } });
  });
});

describe('WorkerPool cancellation', () => {
  it('rejects at once what is aborted, and keeps hearing its events', async () => {
    const pool = await startPool(1);
    const controller = new AbortController();
    const events: unknown[] = [];
    const options = { signal: controller.signal, onEvent: (event: unknown) => events.push(event) };
    const running = pool.run({ type: 'block-then-event', ms: 100 }, [], options);
    const ahead = pool.run({ type: 'echo' }, [], { signal: controller.signal });
    const queued = pool.run({ type: 'echo' }, [], { signal: controller.signal });
    controller.abort();
    for (const promise of [running, ahead, queued]) {
      expect((await failure(promise)).code).toBe('CANCELLED');
    }
    expect(events).toEqual([]);
    // The queued request never ran: the blocking one, the one sent ahead and this one did.
    expect((await pool.run({ type: 'echo' })).served).toBe(3);
    expect(events).toEqual(['late']);
    const options2 = { signal: controller.signal };
    expect((await failure(pool.run({ type: 'echo' }, [], options2))).code).toBe('CANCELLED');
  });

  it('throws the reason of the signal if it is ours', async () => {
    const pool = await startPool(1);
    const controller = new AbortController();
    const running = pool.run({ type: 'block', ms: 50 }, [], { signal: controller.signal });
    controller.abort(new HoldfastError('LOCK_LOST'));
    expect((await failure(running)).code).toBe('LOCK_LOST');
  });

  it('closes: what is at work finishes, the rest is cancelled', async () => {
    const pool = await startPool(1);
    const { answer } = await block(pool, 200);
    const others = [1, 2].map(() => failure(pool.run({ type: 'echo' })));
    const closed = pool.close();
    expect((await answer).isCancelled).toBe(true);
    for (const error of await Promise.all(others)) expect(error.code).toBe('CANCELLED');
    await closed;
    await pool.close();
    expect((await failure(pool.run({ type: 'echo' }))).code).toBe('CANCELLED');
  });

  it('stops a thread that does not end', async () => {
    const pool = await startPool(1);
    const { answer } = await block(pool, 1e9);
    await pool.close();
    expect((await failure(answer)).code).toBe('CANCELLED');
  });
});
