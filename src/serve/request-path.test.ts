import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isFolderName, parseRequestPath, typeName } from './request-path.ts';

const name = 'ab'.repeat(32);

test('reads what a repository has', () => {
  expect(parseRequestPath('/')).toEqual({ kind: 'repository', folders: [] });
  expect(parseRequestPath('/a/')).toEqual({ kind: 'repository', folders: ['a'] });
  expect(parseRequestPath('/a/b/')).toEqual({ kind: 'repository', folders: ['a', 'b'] });
  expect(parseRequestPath('/config')).toMatchObject({ kind: 'file', folders: [], type: 'config' });
  expect(parseRequestPath('/a/data/')).toEqual({ kind: 'list', folders: ['a'], type: 'pack' });
  expect(parseRequestPath(`/a/b/keys/${name}`)).toEqual({
    kind: 'file',
    folders: ['a', 'b'],
    type: 'key',
    name,
  });
  expect(parseRequestPath(`/a%20b/parity/${name}`)).toMatchObject({
    folders: ['a b'],
    type: 'parity',
  });
  expect(typeName('pack')).toBe('data');
  expect(typeName('config')).toBe('config');
});

test('knows nothing else', () => {
  const none = [
    '',
    'a',
    '/a',
    '/a/b/c/',
    `/${name}`,
    '/data',
    `/data/${name}/`,
    '/a/config/x',
    '/keys/x',
  ];
  for (const path of none) expect([path, parseRequestPath(path)]).toEqual([path, undefined]);
});

test('never leads out of the root, whatever is asked for', () => {
  const piece = fc.constantFrom(
    '..',
    '.',
    '',
    '%2e',
    '%2f',
    '/',
    '\\',
    'a',
    'data',
    'config',
    name,
    '%00',
  );
  const path = fc.array(fc.oneof(piece, fc.string({ maxLength: 3 })), { maxLength: 8 });
  fc.assert(
    fc.property(path, (pieces) => {
      const subject = parseRequestPath(`/${pieces.join('/')}`);
      for (const folder of subject?.folders ?? []) {
        expect(isFolderName(folder)).toBe(true);
        expect(folder).not.toMatch(/[/\\\0]|^\./);
      }
      if (subject?.kind === 'file') expect(subject.name).toMatch(/^([0-9a-f]{64})?$/);
    }),
    { numRuns: 300 },
  );
});
