import { createHash } from 'node:crypto';

import { describe, expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import type { FileHandle, FileType } from './backend.ts';
import { type CachedBackend, cache } from './cache.ts';
import { codeOf, describeBackend, listAll } from './conformance.ts';
import { fault } from './fault.ts';
import { MemoryBackend, memoryKey } from './memory/memory-backend.ts';
import { type RecordedBackend, record } from './record.ts';

describeBackend('cache of all packs', async () => {
  const inner = new MemoryBackend();
  return {
    backend: cache(inner, new MemoryBackend(), { isTreePack: () => true }),
    other: inner,
    dispose: async () => {},
  };
});

describeBackend('cache that fails', async () => {
  const inner = new MemoryBackend();
  const broken = fault(new MemoryBackend(), [
    { count: Infinity, fault: { kind: 'error', code: 'STORAGE_FULL' } },
  ]);
  return {
    backend: cache(inner, broken, { isTreePack: () => true }),
    other: inner,
    dispose: async () => {},
  };
});

interface Given {
  readonly backend: CachedBackend;
  readonly inner: RecordedBackend;
  readonly stored: MemoryBackend;
  readonly folder: MemoryBackend;
  readonly problems: unknown[];
}

function given(): Given {
  const stored = new MemoryBackend();
  const inner = record(stored);
  const folder = new MemoryBackend();
  const problems: unknown[] = [];
  const onProblem = (error: unknown): number => problems.push(error);
  return { backend: cache(inner, folder, { onProblem }), inner, stored, folder, problems };
}

const content = utf8('0123456789');

/** A handle that fits `bytes`, as every file of a repository has. */
function fitting(type: FileType, bytes: Uint8Array = content): FileHandle {
  const name = createHash('sha256').update(bytes).digest('hex');
  return type === 'pack' ? { type, name, holdsTrees: true } : { type, name };
}

const keptTypes = ['snapshot', 'index', 'pack'] as const;

describe.each(keptTypes)('files of type %s', (type) => {
  const handle = fitting(type);

  test('are kept when they are put', async () => {
    const { backend, inner, folder } = given();
    await backend.put(handle, [content.subarray(0, 4), content.subarray(4)]);
    expect(folder.files.get(memoryKey(handle))).toEqual(content);
    expect(await backend.get(handle)).toEqual(content);
    expect(await backend.get(handle, { start: 2, end: 4 })).toEqual(utf8('23'));
    expect(inner.count({ operation: 'get' })).toBe(0);
  });

  test('are kept whole when a part is first read', async () => {
    const { backend, inner, stored } = given();
    await stored.put(handle, [content]);
    expect(await backend.get(handle, { start: 2, end: 4 })).toEqual(utf8('23'));
    expect(await backend.get(handle, { start: 3, end: 5 })).toEqual(utf8('34'));
    expect(await backend.get(handle)).toEqual(content);
    expect(inner.counts()).toEqual({ [`get ${type}`]: 1 });
  });

  test('are read once when many ask at the same time, and each owns what it gets', async () => {
    const { backend, inner, stored } = given();
    await stored.put(handle, [content]);
    const all = await Promise.all([backend.get(handle), backend.get(handle), backend.get(handle)]);
    all[0]?.fill(0);
    expect(all.slice(1)).toEqual([content, content]);
    expect(inner.counts()).toEqual({ [`get ${type}`]: 1 });
  });

  test('are not taken from the cache when they must be fresh, once', async () => {
    const { backend, inner, folder } = given();
    await backend.put(handle, [content]);
    folder.files.set(memoryKey(handle), utf8('0X23456789'));
    const fresh = { fresh: true };
    expect(await backend.get(handle, { start: 0, end: 3 }, fresh)).toEqual(utf8('012'));
    expect(folder.files.get(memoryKey(handle))).toEqual(content);
    expect(await backend.get(handle, { start: 0, end: 3 })).toEqual(utf8('012'));
    expect(inner.count({ operation: 'get' })).toBe(1);
    await backend.get(handle, { start: 0, end: 3 }, fresh);
    expect(inner.calls.at(-1)?.range).toEqual({ start: 0, end: 3 });
  });

  test('are neither taken from the cache nor kept there by a look at what is stored', async () => {
    const { backend, inner, folder, stored } = given();
    await stored.put(handle, [content]);
    const direct = { direct: true };
    expect(await backend.get(handle, { start: 0, end: 3 }, direct)).toEqual(utf8('012'));
    expect(folder.files.size).toBe(0);
    await backend.get(handle);
    folder.files.set(memoryKey(handle), utf8('0X23456789'));
    expect(await backend.get(handle, { start: 0, end: 3 }, direct)).toEqual(utf8('012'));
    expect(inner.count({ operation: 'get' })).toBe(3);
  });

  test('are dropped and read again when the copy is damaged', async () => {
    for (const copy of ['0X23456789', '', '01234567890']) {
      const { backend, folder, problems } = given();
      await backend.put(handle, [content]);
      folder.files.set(memoryKey(handle), utf8(copy));
      expect(await backend.get(handle)).toEqual(content);
      expect(folder.files.get(memoryKey(handle))).toEqual(content);
      expect(problems).toHaveLength(1);
    }
  });

  test('are dropped and read again when the copy is shorter than a range', async () => {
    const { backend, folder } = given();
    await backend.put(handle, [content]);
    folder.files.set(memoryKey(handle), utf8('01234'));
    expect(await backend.get(handle, { start: 4, end: 8 })).toEqual(utf8('4567'));
    expect(folder.files.get(memoryKey(handle))).toEqual(content);
  });

  test('are not kept when what was read does not fit their name', async () => {
    const { backend, stored, folder } = given();
    stored.files.set(memoryKey(handle), utf8('X123456789'));
    expect(await backend.get(handle)).toEqual(utf8('X123456789'));
    expect(folder.files.size).toBe(0);
  });

  test('are not kept when the put failed', async () => {
    const folder = new MemoryBackend();
    const inner = fault(new MemoryBackend(), [
      { operation: 'put', fault: { kind: 'error', code: 'STORAGE_FULL' } },
    ]);
    const put = cache(inner, folder).put(handle, [content]);
    expect(await codeOf(put)).toBe('STORAGE_FULL');
    expect(folder.files.size).toBe(0);
  });

  test('leave the cache when they are removed, or are gone already', async () => {
    const { backend, stored, folder } = given();
    await backend.put(handle, [content]);
    await backend.remove(handle);
    expect(folder.files.size).toBe(0);
    await backend.put(handle, [content]);
    await stored.remove(handle);
    expect(await codeOf(backend.remove(handle))).toBe('FILE_NOT_FOUND');
    expect(folder.files.size).toBe(0);
  });

  test('can be read by others although one of them was cancelled', async () => {
    const { backend, stored } = given();
    await stored.put(handle, [content]);
    const control = new AbortController();
    const first = backend.get(handle, undefined, { signal: control.signal });
    const second = backend.get(handle);
    control.abort();
    await first.catch(() => {});
    expect(await second).toEqual(content);
  });
});

test.each(['config', 'key', 'lock', 'pack'] as const)('keeps no file of type %s', async (type) => {
  const { backend, inner, folder } = given();
  const handle: FileHandle =
    type === 'config' ? { type, name: '' } : { type, name: fitting(type).name };
  await backend.put(handle, [content]);
  await backend.get(handle);
  await backend.get(handle, { start: 0, end: 1 });
  expect(folder.files.size).toBe(0);
  expect(inner.count({ operation: 'get' })).toBe(2);
});

test.each(['snapshot', 'index'] as const)('drops %s files that are not listed', async (type) => {
  const { backend, stored, folder } = given();
  const [kept, gone] = [fitting(type), fitting(type, utf8('gone'))];
  await backend.put(kept, [content]);
  await backend.put(gone, [utf8('gone')]);
  await stored.remove(gone);
  expect(await listAll(backend, type)).toHaveLength(1);
  expect([...folder.files.keys()]).toEqual([memoryKey(kept)]);
});

test('drops nothing after a list that was left early or failed', async () => {
  const stored = new MemoryBackend();
  const folder = new MemoryBackend();
  const handles = ['a', 'b', 'c'].map((text) => fitting('index', utf8(text)));
  const inner = fault(stored, [
    { operation: 'list', call: 2, fault: { kind: 'error-after', code: 'BACKEND_UNAVAILABLE' } },
  ]);
  const backend = cache(inner, folder);
  for (const [i, text] of ['a', 'b', 'c'].entries()) {
    await backend.put(handles[i] ?? fitting('index'), [utf8(text)]);
  }
  stored.files.delete(memoryKey(fitting('index', utf8('c'))));
  for await (const _ of backend.list('index')) break;
  expect(await codeOf(listAll(backend, 'index'))).toBe('BACKEND_UNAVAILABLE');
  expect(folder.files.size).toBe(3);
  await listAll(backend, 'index');
  expect(folder.files.size).toBe(2);
});

test('drops packs that the index does not know', async () => {
  const { backend, folder } = given();
  const [known, unknown] = [fitting('pack'), fitting('pack', utf8('unknown'))];
  await backend.put(known, [content]);
  await backend.put(unknown, [utf8('unknown')]);
  await listAll(backend, 'pack');
  expect(folder.files.size).toBe(2);
  expect(await backend.retainPacks((name) => name === known.name)).toBe(1);
  expect([...folder.files.keys()]).toEqual([memoryKey(known)]);
});

test('does not use a copy that it could not remove', async () => {
  const inner = new MemoryBackend();
  const folder = fault(new MemoryBackend(), [
    { operation: 'remove', fault: { kind: 'error', code: 'READ_ONLY' } },
  ]);
  const backend = cache(inner, folder);
  const handle = fitting('pack');
  await backend.put(handle, [content]);
  await backend.remove(handle);
  expect(await codeOf(backend.get(handle, { start: 0, end: 1 }))).toBe('FILE_NOT_FOUND');
  expect(await codeOf(backend.get(handle))).toBe('FILE_NOT_FOUND');
});

test('tells of a failing cache and goes on', async () => {
  const problems: unknown[] = [];
  const inner = new MemoryBackend();
  const broken = fault(new MemoryBackend(), [
    { count: Infinity, fault: { kind: 'error', code: 'READ_ONLY' } },
  ]);
  const backend = cache(inner, broken, { onProblem: (error) => problems.push(error) });
  await backend.put(fitting('index'), [content]);
  expect(await backend.get(fitting('index'))).toEqual(content);
  await listAll(backend, 'index');
  await backend.remove(fitting('index'));
  expect(problems.length).toBeGreaterThan(2);
  expect(problems.every((error) => String(error).includes('read-only'))).toBe(true);
});
