import { createHash } from 'node:crypto';

import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { isHoldfastError } from '../base/errors.ts';
import type { Backend, FileHandle } from './backend.ts';
import { cache } from './cache.ts';
import { listAll } from './conformance.ts';
import { type Fault, type FaultRule, fault } from './fault.ts';
import { limit } from './limit.ts';
import { MemoryBackend, memoryKey } from './memory/memory-backend.ts';
import { retry } from './retry.ts';
import { testEnvironment } from './test-support.ts';

// Random calls on the decorators as they are used together, over a storage and a cache that fail at random, give what a
// plain map gives.

const files = ['zero', 'one', 'two', 'three'].map((text) => {
  const content = Buffer.from(text.repeat(10));
  const name = createHash('sha256').update(content).digest('hex');
  return { name, content };
});

type Step = readonly [
  operation: 'put' | 'get' | 'fresh' | 'range' | 'stat' | 'list' | 'remove',
  file: number,
];

const steps = fc.array(
  fc.tuple(
    fc.constantFrom('put', 'get', 'fresh', 'range', 'stat', 'list', 'remove'),
    fc.nat({ max: files.length - 1 }),
  ),
  { maxLength: 30 },
) satisfies fc.Arbitrary<Step[]>;

const storageFaults = fc.array(
  fc.record({
    operation: fc.constantFrom('put' as const, 'get' as const, 'stat' as const, 'list' as const),
    call: fc.integer({ min: 1, max: 10 }),
    count: fc.integer({ min: 1, max: 3 }),
    fault: fc.constantFrom<Fault>(
      { kind: 'error', code: 'BACKEND_UNAVAILABLE' },
      { kind: 'error-after', code: 'BACKEND_READ_FAILED' },
    ),
  }),
  { maxLength: 6 },
) satisfies fc.Arbitrary<FaultRule[]>;

const cacheFaults = fc
  .array(
    fc.record({
      call: fc.integer({ min: 1, max: 20 }),
      count: fc.integer({ min: 1, max: 5 }),
      fault: fc.constantFrom<Fault>(
        { kind: 'error', code: 'BACKEND_READ_FAILED' },
        { kind: 'error-after', code: 'STORAGE_FULL' },
        { kind: 'lost' },
        { kind: 'partial', sizeBytes: 5 },
        { kind: 'short', sizeBytes: 5 },
      ),
    }),
    { maxLength: 6 },
  )
  .map((rules) =>
    rules.map((rule): FaultRule => {
      // What a cache was to forget and did not has still the right bytes.
      return rule.fault.kind === 'lost' ? { ...rule, operation: 'put' } : rule;
    }),
  ) satisfies fc.Arbitrary<FaultRule[]>;

/** What a step gives: content, size, names or an error code. */
async function outcome(backend: Backend, [operation, file]: Step): Promise<unknown> {
  const { name, content } = files[file % files.length] ?? { name: '', content: Buffer.of() };
  const type = file % 2 === 0 ? 'index' : 'pack';
  const handle: FileHandle = { type, name, holdsTrees: true };
  try {
    switch (operation) {
      case 'put':
        return await backend.put(handle, [content.subarray(0, 7), content.subarray(7)]);
      case 'get':
        return Buffer.from(await backend.get(handle)).toString();
      case 'fresh':
        return Buffer.from(await backend.get(handle, undefined, { fresh: true })).toString();
      case 'range':
        return Buffer.from(await backend.get(handle, { start: 3, end: 11 })).toString();
      case 'stat':
        return await backend.stat(handle);
      case 'list':
        return await listAll(backend, type);
      case 'remove':
        return await backend.remove(handle);
      default:
        return undefined;
    }
  } catch (error) {
    if (isHoldfastError(error)) return error.code;
    throw error;
  }
}

test('the decorators together give what a plain storage gives', async () => {
  await fc.assert(
    fc.asyncProperty(steps, storageFaults, cacheFaults, async (calls, faults, damage) => {
      const environment = testEnvironment();
      const storage = new MemoryBackend();
      const working = retry(limit(fault(storage, faults), { connectionCount: 2 }), { environment });
      const backend = cache(working, fault(new MemoryBackend(), damage));
      const oracle = new MemoryBackend();
      for (const call of calls) {
        const [given, expected] = [await outcome(backend, call), await outcome(oracle, call)];
        // After a failed try, equal bytes are taken for ours: the put is done.
        if (call[0] === 'put') expect([undefined, expected]).toContain(given);
        else expect(given).toEqual(expected);
      }
      expect([...storage.files.keys()].sort()).toEqual([...oracle.files.keys()].sort());
      for (const { name, content } of files) {
        const stored = storage.files.get(memoryKey({ type: 'pack', name }));
        if (stored) expect(Buffer.compare(stored, content)).toBe(0);
      }
    }),
    { numRuns: 300 },
  );
});
