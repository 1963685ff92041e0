import { expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { describeBackend, handleFor, listAll } from './conformance.ts';
import { MemoryBackend } from './memory/memory-backend.ts';
import { record } from './record.ts';

describeBackend('record', async () => {
  const inner = new MemoryBackend();
  return { backend: record(inner), other: inner, dispose: async () => {} };
});

test('tells and counts all calls', async () => {
  const backend = record(new MemoryBackend());
  const pack = handleFor('pack', 'record');
  const index = handleFor('index', 'record');
  await backend.create();
  await backend.put(pack, [utf8('one'), utf8('two')]);
  await backend.put(index, [utf8('index')]);
  await backend.get(pack, { start: 1, end: 2 });
  await backend.get(pack);
  await backend.stat(pack);
  await listAll(backend, 'pack');
  await backend.remove(index);
  expect(backend.counts()).toMatchInlineSnapshot(`
    {
      "create": 1,
      "get pack": 2,
      "list pack": 1,
      "put index": 1,
      "put pack": 1,
      "remove index": 1,
      "stat pack": 1,
    }
  `);
  expect(backend.count()).toBe(8);
  expect(backend.count({ operation: 'put' })).toBe(2);
  expect(backend.count({ type: 'pack' })).toBe(5);
  expect(backend.count({ operation: 'get', name: pack.name })).toBe(2);
  expect(backend.calls[1]).toEqual({
    operation: 'put',
    type: 'pack',
    name: pack.name,
    sizeBytes: 6,
  });
  expect(backend.calls[3]).toEqual({
    operation: 'get',
    type: 'pack',
    name: pack.name,
    range: { start: 1, end: 2 },
  });
  backend.reset();
  expect(backend.counts()).toEqual({});
});

test('counts calls that fail', async () => {
  const backend = record(new MemoryBackend());
  await expect(backend.get(handleFor('pack', 'absent'))).rejects.toThrow('a file is missing');
  expect(backend.counts()).toEqual({ 'get pack': 1 });
});

test('hides the folder, so that nothing is read past the record', () => {
  const inner = Object.assign(new MemoryBackend(), { localPath: '/srv/repository' });
  expect(record(inner).localPath).toBeUndefined();
});
