import { expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { codeOf, describeBackend, handleFor, listAll } from './conformance.ts';
import { type FaultRule, type FaultyBackend, fault } from './fault.ts';
import { MemoryBackend } from './memory/memory-backend.ts';

describeBackend('fault without rules', async () => {
  const inner = new MemoryBackend();
  return { backend: fault(inner, []), other: inner, dispose: async () => {} };
});

const pack = handleFor('pack', 'fault');
const other = handleFor('pack', 'other');
const content = utf8('content');

async function given(...rules: FaultRule[]): Promise<{
  readonly backend: FaultyBackend;
  readonly inner: MemoryBackend;
}> {
  const inner = new MemoryBackend();
  await inner.put(pack, [content]);
  return { backend: fault(inner, rules), inner };
}

const failed = { kind: 'error', code: 'BACKEND_UNAVAILABLE' } as const;

test('fails the n-th calls that fit, and no others', async () => {
  const { backend } = await given({
    operation: 'get',
    type: 'pack',
    call: 2,
    count: 2,
    fault: failed,
  });
  await backend.stat(pack);
  expect(await codeOf(backend.get(handleFor('index', 'x')))).toBe('FILE_NOT_FOUND');
  expect(await backend.get(pack)).toEqual(content);
  expect(await codeOf(backend.get(pack))).toBe('BACKEND_UNAVAILABLE');
  expect(await codeOf(backend.get(pack, { start: 0, end: 1 }))).toBe('BACKEND_UNAVAILABLE');
  expect(await backend.get(pack)).toEqual(content);
  expect(backend.faultCount).toBe(2);
});

test('fails all calls for ever', async () => {
  const { backend, inner } = await given({ count: Infinity, fault: failed });
  expect(await codeOf(backend.create())).toBe('BACKEND_UNAVAILABLE');
  expect(await codeOf(backend.put(other, [content]))).toBe('BACKEND_UNAVAILABLE');
  expect(await codeOf(backend.get(pack))).toBe('BACKEND_UNAVAILABLE');
  expect(await codeOf(backend.stat(pack))).toBe('BACKEND_UNAVAILABLE');
  expect(await codeOf(backend.remove(pack))).toBe('BACKEND_UNAVAILABLE');
  expect(await codeOf(listAll(backend, 'pack'))).toBe('BACKEND_UNAVAILABLE');
  expect(await listAll(inner, 'pack')).toHaveLength(1);
});

test('does and fails all the same', async () => {
  const lost = { kind: 'error-after', code: 'BACKEND_WRITE_FAILED' } as const;
  const { backend, inner } = await given({ count: 3, fault: lost });
  expect(await codeOf(backend.put(other, [content]))).toBe('BACKEND_WRITE_FAILED');
  expect(await inner.get(other)).toEqual(content);
  expect(await codeOf(listAll(backend, 'pack'))).toBe('BACKEND_WRITE_FAILED');
  expect(await codeOf(backend.remove(other))).toBe('BACKEND_WRITE_FAILED');
  expect(await codeOf(inner.get(other))).toBe('FILE_NOT_FOUND');
});

test('loses puts and removes', async () => {
  const { backend, inner } = await given({ count: 2, fault: { kind: 'lost' } });
  await backend.put(other, [content]);
  await backend.remove(pack);
  expect(await listAll(inner, 'pack')).toEqual([{ name: pack.name, sizeBytes: 7 }]);
});

test('stores a part, and says so or not', async () => {
  const { backend, inner } = await given(
    { operation: 'put', fault: { kind: 'partial', sizeBytes: 3, code: 'STORAGE_FULL' } },
    { operation: 'put', call: 2, fault: { kind: 'partial', sizeBytes: 4 } },
  );
  expect(await codeOf(backend.put(other, [utf8('con'), utf8('tent')]))).toBe('STORAGE_FULL');
  expect(await inner.get(other)).toEqual(utf8('con'));
  await backend.put(handleFor('index', 'x'), [content]);
  expect(await inner.get(handleFor('index', 'x'))).toEqual(utf8('cont'));
});

test('flips bits on the way, not in the store', async () => {
  const { backend, inner } = await given(
    { operation: 'get', fault: { kind: 'flip', byte: 0, bit: 5 } },
    { operation: 'get', call: 2, fault: { kind: 'flip', byte: -1 } },
    { operation: 'get', call: 3, fault: { kind: 'flip', byte: 100 } },
    { operation: 'put', fault: { kind: 'flip', byte: 0, bit: 5 } },
  );
  expect(await backend.get(pack)).toEqual(utf8('Content'));
  expect(await backend.get(pack)).toEqual(utf8('contenu'));
  expect(await backend.get(pack)).toEqual(content);
  expect(await inner.get(pack)).toEqual(content);
  const sent = content.slice();
  await backend.put(other, [sent]);
  expect(await inner.get(other)).toEqual(utf8('Content'));
  expect(sent).toEqual(content);
});

test('cuts what is read, and hides files from lists', async () => {
  const { backend } = await given(
    { operation: 'get', fault: { kind: 'short', sizeBytes: 2 } },
    { operation: 'list', fault: { kind: 'hidden', name: (name) => name === pack.name } },
  );
  expect(await backend.get(pack)).toEqual(utf8('co'));
  expect(await listAll(backend, 'pack')).toEqual([]);
  expect(await listAll(backend, 'pack')).toHaveLength(1);
});

test('repeats files in lists, and says wrong sizes', async () => {
  const { backend } = await given(
    { operation: 'list', fault: { kind: 'repeated' } },
    { operation: 'list', call: 2, fault: { kind: 'resized', byBytes: 2 } },
    { operation: 'stat', fault: { kind: 'resized', byBytes: -100 } },
  );
  const file = { name: pack.name, sizeBytes: 7 };
  expect(await listAll(backend, 'pack')).toEqual([file, file]);
  expect(await listAll(backend, 'pack')).toEqual([{ ...file, sizeBytes: 9 }]);
  expect(await backend.stat(pack)).toEqual({ ...file, sizeBytes: 0 });
  expect(await backend.stat(pack)).toEqual(file);
});

test('lets the first rule that fits decide, and counts the call for all of them', async () => {
  const { backend } = await given(
    { operation: 'stat', call: 2, fault: { kind: 'error', code: 'READ_ONLY' } },
    { count: 2, fault: failed },
  );
  expect(await codeOf(backend.stat(pack))).toBe('BACKEND_UNAVAILABLE');
  expect(await codeOf(backend.stat(pack))).toBe('READ_ONLY');
  expect((await backend.stat(pack)).sizeBytes).toBe(7);
});
