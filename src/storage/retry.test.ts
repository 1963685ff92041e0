import { describe, expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import type { Backend, FileStat } from './backend.ts';
import { codeOf, describeBackend, handleFor, listAll } from './conformance.ts';
import { type FaultRule, type FaultyBackend, fault } from './fault.ts';
import { MemoryBackend, memoryKey } from './memory/memory-backend.ts';
import { type RetryEvent, retry, retryDelayMs } from './retry.ts';
import { type JumpingClock, seededRandom, testEnvironment } from './test-support.ts';

describeBackend('retry', async () => {
  const inner = new MemoryBackend();
  const environment = testEnvironment();
  return {
    backend: retry(inner, { environment }),
    other: inner,
    dispose: async () => {},
  };
});

describeBackend('retry over a storage whose every second call fails', async () => {
  const inner = new MemoryBackend();
  // Not of removes: after a lost answer nobody can tell whether there was a file.
  const operations = ['create', 'put', 'get', 'stat', 'list'] as const;
  const rules = Array.from({ length: 1000 }, (_, i): FaultRule => {
    const code = i % 3 === 0 ? 'BACKEND_READ_FAILED' : 'BACKEND_UNAVAILABLE';
    const kind = i % 2 === 0 ? 'error-after' : 'error';
    return {
      operation: operations[i % 5] ?? 'get',
      call: 2 * Math.floor(i / 5) + 1,
      fault: { kind, code },
    };
  });
  return {
    backend: retry(fault(inner, rules), { environment: testEnvironment() }),
    other: inner,
    dispose: async () => {},
  };
});

interface Given {
  readonly backend: Backend;
  readonly inner: MemoryBackend;
  readonly faulty: FaultyBackend;
  readonly clock: JumpingClock;
  readonly events: RetryEvent[];
}

function given(...rules: FaultRule[]): Given {
  const inner = new MemoryBackend();
  const environment = testEnvironment();
  const faulty = fault(inner, rules);
  const events: RetryEvent[] = [];
  const backend = retry(faulty, { environment, onRetry: (event) => events.push(event) });
  return { backend, inner, faulty, clock: environment.clock, events };
}

const pack = handleFor('pack', 'retry');
const unavailable = { kind: 'error', code: 'BACKEND_UNAVAILABLE' } as const;
const lostAnswer = { kind: 'error-after', code: 'BACKEND_UNAVAILABLE' } as const;

test('waits twice as long each time, with a random factor, up to a minute', () => {
  const random = seededRandom(7);
  for (const [attempt, delayMs] of [
    [1, 1000],
    [2, 2000],
    [3, 4000],
    [6, 32_000],
    [7, 60_000],
    [30, 60_000],
  ] as const) {
    const delays = Array.from({ length: 50 }, () => retryDelayMs(attempt, random));
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(delayMs * 0.5);
    expect(Math.max(...delays)).toBeLessThanOrEqual(delayMs * 1.5);
    expect(new Set(delays).size).toBeGreaterThan(40);
  }
});

test('leaves a storage alone for as long as it asks for', async () => {
  const busy = { kind: 'error', code: 'BACKEND_UNAVAILABLE', retryAfterMs: 100_000 } as const;
  const { backend, clock } = given({ operation: 'put', count: 2, fault: busy });
  await backend.put(pack, [utf8('pack')]);
  expect(clock.sleptMs).toEqual([100_000, 100_000]);
});

test('gives up at once where a storage asks for more than there is left', async () => {
  const busy = { kind: 'error', code: 'BACKEND_UNAVAILABLE', retryAfterMs: 3_600_000 } as const;
  const { backend, clock } = given({ operation: 'put', count: 1, fault: busy });
  expect(await codeOf(backend.put(pack, [utf8('pack')]))).toBe('BACKEND_UNAVAILABLE');
  expect(clock.sleptMs).toEqual([]);
});

test('tries again until it works, and says so', async () => {
  const { backend, clock, events } = given({ operation: 'put', count: 3, fault: unavailable });
  await backend.put(pack, [utf8('content')]);
  expect(await backend.get(pack)).toEqual(utf8('content'));
  expect(clock.sleptMs).toHaveLength(3);
  expect(events.map((event) => event.delayMs)).toEqual(clock.sleptMs);
  expect(events[0]).toMatchObject({
    call: `put pack ${pack.name.slice(0, 10)}`,
    error: { code: 'BACKEND_UNAVAILABLE' },
  });
});

test('gives up after 15 minutes with the last error', async () => {
  const { backend, clock, faulty } = given({ count: Infinity, fault: unavailable });
  expect(await codeOf(backend.get(pack))).toBe('BACKEND_UNAVAILABLE');
  const totalMs = clock.sleptMs.reduce((sum, ms) => sum + ms, 0);
  expect(totalMs).toBeGreaterThan(13 * 60_000);
  expect(totalMs).toBeLessThanOrEqual(15 * 60_000);
  expect(faulty.faultCount).toBeLessThan(40);
});

test.each([
  'STORAGE_FULL',
  'PERMISSION_DENIED',
  'READ_ONLY',
  'RANGE_NOT_SATISFIABLE',
  'FILE_NOT_FOUND',
  'FILE_EXISTS',
  'LOCATION_INVALID',
  'CANCELLED',
  'ASSERTION_FAILED',
] as const)('does not try again after %s', async (code) => {
  const { backend, clock, faulty } = given({ count: 9, fault: { kind: 'error', code } });
  expect(await codeOf(backend.put(pack, [utf8('x')]))).toBe(code);
  expect([clock.sleptMs, faulty.faultCount]).toEqual([[], 1]);
});

test('does not try again what is no error of ours', async () => {
  const inner = new MemoryBackend();
  inner.stat = async (): Promise<FileStat> => {
    throw new TypeError('a defect');
  };
  const backend = retry(inner, { environment: testEnvironment() });
  await expect(backend.stat(pack)).rejects.toThrow('a defect');
});

test('stops waiting when the signal aborts', async () => {
  const { inner } = given();
  const control = new AbortController();
  const faulty = fault(inner, [{ count: Infinity, fault: unavailable }]);
  const backend = retry(faulty, {
    environment: testEnvironment(),
    onRetry: () => control.abort(),
  });
  expect(await codeOf(backend.get(pack, undefined, { signal: control.signal }))).toBe('CANCELLED');
  expect(faulty.faultCount).toBe(1);
});

describe('when the answer was lost', () => {
  test('a put that worked is done', async () => {
    const { backend, inner, events } = given({ operation: 'put', fault: lostAnswer });
    await backend.put(pack, [utf8('con'), utf8(''), utf8('tent')]);
    expect(await inner.get(pack)).toEqual(utf8('content'));
    expect(events).toHaveLength(1);
  });

  test('a put that left something else is FILE_EXISTS, and that stays', async () => {
    const partial = { kind: 'partial', sizeBytes: 3, code: 'BACKEND_UNAVAILABLE' } as const;
    const { backend, inner } = given({ operation: 'put', fault: partial });
    expect(await codeOf(backend.put(pack, [utf8('content')]))).toBe('FILE_EXISTS');
    expect(await inner.get(pack)).toEqual(utf8('con'));
  });

  test('a put that worked, and whose file somebody removed since, is made again', async () => {
    const { backend, inner } = given({ operation: 'put', fault: lostAnswer });
    const get = inner.get.bind(inner);
    inner.get = (...call) => {
      inner.get = get;
      inner.files.delete(memoryKey(pack));
      return get(...call);
    };
    await backend.put(pack, [utf8('content')]);
    expect(await inner.get(pack)).toEqual(utf8('content'));
  });

  test('a put over a longer or different file is FILE_EXISTS', async () => {
    for (const other of ['content and more', 'CONTENT', '']) {
      const { backend, inner } = given({ operation: 'put', fault: unavailable });
      inner.files.set(memoryKey(pack), utf8(other));
      expect(await codeOf(backend.put(pack, [utf8('content')]))).toBe('FILE_EXISTS');
    }
  });

  test('a first put over equal bytes is FILE_EXISTS all the same', async () => {
    const { backend, inner } = given();
    inner.files.set(memoryKey(pack), utf8('content'));
    expect(await codeOf(backend.put(pack, [utf8('content')]))).toBe('FILE_EXISTS');
  });

  test('a remove that worked is done', async () => {
    const { backend, inner } = given({ operation: 'remove', fault: lostAnswer });
    await inner.put(pack, [utf8('x')]);
    await backend.remove(pack);
    expect(inner.files.size).toBe(0);
  });

  test('a first remove of what is not there is FILE_NOT_FOUND', async () => {
    expect(await codeOf(given().backend.remove(pack))).toBe('FILE_NOT_FOUND');
  });
});

test('goes on with a list that broke off, each file once', async () => {
  const { backend, inner, events } = given({ operation: 'list', count: 2, fault: lostAnswer });
  const handles = Array.from({ length: 20 }, (_, i) => handleFor('index', `${i}`));
  for (const handle of handles) await inner.put(handle, [utf8('x')]);
  expect(await listAll(backend, 'index')).toHaveLength(20);
  expect(events.map((event) => event.call)).toEqual(['list index files', 'list index files']);
});

test('passes on what it does not change', async () => {
  const { backend } = given();
  expect([backend.location, backend.connectionCount, backend.localPath]).toEqual([
    'memory',
    4,
    undefined,
  ]);
  expect(await backend.removeLeftovers?.()).toBe(0);
  await backend.close();
});
