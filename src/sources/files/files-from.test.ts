import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readFilesFrom } from './files-from.ts';
import { findPaths } from './find-paths.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'holdfast-files-from-'));
  for (const name of ['t/a', 't/b', 't/.hidden', 'u/a']) {
    mkdirSync(path.join(folder, name), { recursive: true });
  }
  writeFileSync(path.join(folder, 't/a/[x]'), '');
  symlinkSync('t', path.join(folder, 'link'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function names(targets: readonly Uint8Array[]): string[] {
  return targets.map((each) => Buffer.from(each).toString());
}

describe('findPaths', () => {
  it.each([
    ['t/*', ['t/.hidden', 't/a', 't/b']],
    ['*/a', ['link/a', 't/a', 'u/a']],
    ['[tu]/[^b]', ['t/a', 'u/a']],
    ['t//?', ['t/a', 't/b']],
    ['./t/b', ['./t/b']],
    ['t/a/\\[x\\]', ['t/a/[x]']],
    ['t/*/', []],
    ['t/**/[[]x]', ['t/a/[x]']],
    ['no*', []],
    ['none', []],
    ['link/*', ['link/.hidden', 'link/a', 'link/b']],
  ])('%s', (pattern, found) => expect(findPaths(pattern, folder)).toEqual(found));

  it('works from the root', () => {
    expect(findPaths(`${folder}/t/[ab]`, '/')).toEqual([`${folder}/t/a`, `${folder}/t/b`]);
    expect(findPaths('/', '/')).toEqual(['/']);
  });

  it('refuses what is malformed, also where nothing could match', () => {
    expect(() => findPaths('none/[a', folder)).toThrow('not valid');
    expect(() => findPaths('[a/none', folder)).toThrow('not valid');
  });
});

describe('readFilesFrom', () => {
  const texts: Record<string, string> = {
    patterns: '# comment\n t/[ab] \n\nnone*\nnone\n',
    verbatim: ' t/a\r\n\n#x\n*\n',
    raw: 'a\nb\0 c\0',
    open: 'a\0b',
    gap: 'a\0\0',
    empty: '',
  };
  const read = (name: string): Uint8Array => Buffer.from(texts[name] ?? '');

  it("reads the three forms, in restic's order", () => {
    const { targets, unmatched } = readFilesFrom({
      raw: ['raw'],
      verbatim: ['verbatim'],
      patterns: ['patterns'],
      workingDirectory: folder,
      read,
    });
    expect(names(targets)).toEqual(['t/a', 't/b', 'none', ' t/a', '#x', '*', 'a\nb', ' c']);
    expect(names(unmatched)).toEqual(['none*']);
  });

  it('refuses damaged raw lists', () => {
    expect(() => readFilesFrom({ raw: ['open'], read })).toThrow('last name is missing');
    expect(() => readFilesFrom({ raw: ['gap'], read })).toThrow('empty name');
    expect(readFilesFrom({ raw: ['empty'], read }).targets).toEqual([]);
  });

  it('reads files', () => {
    writeFileSync(path.join(folder, 'list'), 'x\n');
    const { targets } = readFilesFrom({ verbatim: [path.join(folder, 'list')] });
    expect(names(targets)).toEqual(['x']);
  });
});
