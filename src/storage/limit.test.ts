import { expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import type { FileHandle } from './backend.ts';
import { codeOf, describeBackend, handleFor } from './conformance.ts';
import { fault } from './fault.ts';
import { limit } from './limit.ts';
import { MemoryBackend } from './memory/memory-backend.ts';
import { retry } from './retry.ts';
import { testEnvironment } from './test-support.ts';

describeBackend('limit', async () => {
  const inner = new MemoryBackend();
  return {
    backend: limit(inner, { connectionCount: 1 }),
    other: limit(inner, { connectionCount: 3 }),
    dispose: async () => {},
  };
});

/** Counts how many gets run at once; each one takes several turns of the event loop. */
class CountingBackend extends MemoryBackend {
  running = 0;
  runningMax = 0;

  override async get(handle: FileHandle): Promise<Uint8Array<ArrayBuffer>> {
    this.running++;
    this.runningMax = Math.max(this.runningMax, this.running);
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    this.running--;
    return await super.get(handle);
  }
}

test('runs at most so many calls at once, and failures free their place', async () => {
  const inner = new CountingBackend();
  const backend = limit(inner, { connectionCount: 3 });
  expect(backend.connectionCount).toBe(3);
  const handle = handleFor('pack', 'limit');
  await backend.put(handle, [utf8('x')]);
  const calls = Array.from({ length: 20 }, (_, i) =>
    backend.get(i % 2 === 0 ? handle : handleFor('pack', 'absent')),
  );
  const ends = await Promise.allSettled(calls);
  expect(ends.filter((end) => end.status === 'fulfilled')).toHaveLength(10);
  expect(inner.runningMax).toBe(3);
});

test('does not start a waiting call whose signal has aborted', async () => {
  const inner = new CountingBackend();
  const backend = limit(inner, { connectionCount: 1 });
  const handle = handleFor('pack', 'limit');
  await backend.put(handle, [utf8('x')]);
  const control = new AbortController();
  const first = backend.get(handle);
  const second = backend.get(handle, undefined, { signal: control.signal });
  control.abort();
  await first;
  expect(await codeOf(second)).toBe('CANCELLED');
  expect(inner.runningMax).toBe(1);
});

test('can be used inside a list even with one connection', async () => {
  const backend = limit(new MemoryBackend(), { connectionCount: 1 });
  for (const name of ['a', 'b', 'c']) await backend.put(handleFor('index', name), [utf8(name)]);
  let count = 0;
  for await (const file of backend.list('index')) {
    await backend.get({ type: 'index', name: file.name });
    count++;
  }
  expect(count).toBe(3);
});

test('asks again whether a change is admitted, without a place, also before another try', async () => {
  const inner = fault(new MemoryBackend(), [
    { operation: 'put', fault: { kind: 'error', code: 'BACKEND_UNAVAILABLE' } },
  ]);
  const limited = limit(inner, { connectionCount: 1 });
  const environment = testEnvironment();
  const backend = retry(limited, { environment });
  const handle = handleFor('pack', 'limit');
  const answers = [
    undefined,
    () => limited.put(handleFor('lock', 'renewed'), [utf8('lock')]),
    () => Promise.reject(new HoldfastError('LOCK_LOST')),
  ];
  let asked = 0;
  const admit = (): Promise<void> | undefined => answers[asked++]?.();
  expect(await codeOf(backend.put(handle, [utf8('x')], { admit }))).toBe('LOCK_LOST');
  expect(asked).toBe(3);
  expect(await codeOf(backend.stat(handle))).toBe('FILE_NOT_FOUND');
  expect((await backend.stat(handleFor('lock', 'renewed'))).sizeBytes).toBe(4);
});
