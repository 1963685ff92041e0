import { expect, test } from 'vitest';

import { utf8 } from '../../base/bytes.ts';
import { describeBackend, handleFor } from '../conformance.ts';
import { MemoryBackend, type MemoryFiles, memoryKey } from './memory-backend.ts';

describeBackend('memory', async () => {
  const files: MemoryFiles = new Map();
  return {
    backend: new MemoryBackend(files),
    other: new MemoryBackend(files),
    dispose: async () => {},
  };
});

test('keeps its own copy of what was put', async () => {
  const backend = new MemoryBackend();
  const handle = handleFor('pack', 'copy');
  const content = utf8('content');
  await backend.put(handle, [content]);
  content.fill(0);
  expect(await backend.get(handle)).toEqual(utf8('content'));
});

test('lets a test damage a file', async () => {
  const backend = new MemoryBackend();
  const handle = handleFor('pack', 'damage');
  await backend.put(handle, [utf8('content')]);
  const stored = backend.files.get(memoryKey(handle));
  stored?.set(utf8('C'), 0);
  expect(await backend.get(handle)).toEqual(utf8('Content'));
});
