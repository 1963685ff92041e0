import { expect, test } from 'vitest';

import { handleFor } from './conformance.ts';
import { FileList } from './http-list.ts';

test('gives back what was added, each name once, and leaves out foreign names', () => {
  const list = new FileList('pack files');
  const names = Array.from({ length: 3000 }, (_, i) => handleFor('pack', `${i}`).name);
  for (const [i, name] of names.entries()) list.add(name, i * 2 ** 30);
  list.add('notes', 1);
  list.add(names[7] ?? '', 9);
  expect([...list.files()]).toEqual(names.map((name, i) => ({ name, sizeBytes: i * 2 ** 30 })));
});

test('refuses more names than a repository can have, also foreign ones', () => {
  const list = new FileList('pack files', 1000);
  for (let i = 0; i < 1000; i++) list.add(`foreign ${i}`, 1);
  expect(() => list.add('one more', 1)).toThrow(
    'the storage lists more files than a repository can have',
  );
});
