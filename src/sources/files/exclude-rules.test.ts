import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type ExcludeOptions, ExcludeRules } from './exclude-rules.ts';
import { problemsOf, walkTargets } from './fixtures/walk.ts';

const cacheHeader = 'Signature: 8a477f597d28d172789f06886806bc55';
let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'holdfast-exclude-')));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Makes files with their content. */
function make(files: Record<string, string>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), content);
  }
}

async function left(exclude: ExcludeOptions, targets = ['t']): Promise<string[]> {
  const { paths, problems } = await walkTargets(targets, { workingDirectory: folder, exclude });
  expect(problemsOf({ problems })).toEqual([]);
  return paths;
}

describe('patterns', () => {
  it('test the absolute path, below every target', async () => {
    make({ 't/a/x.tmp': '', 't/a/keep': '', 't/b/x': '', 't/B/y': '' });
    expect(await left({ patterns: ['*.tmp', `${folder}/t/b`] })).toEqual([
      '/t/',
      '/t/B/',
      '/t/B/y',
      '/t/a/',
      '/t/a/keep',
    ]);
    expect(await left({ patternsIgnoringCase: ['b'] })).toEqual([
      '/t/',
      '/t/a/',
      '/t/a/keep',
      '/t/a/x.tmp',
    ]);
    expect(await left({ patterns: ['a'], patternsIgnoringCase: ['!a', 'b'] })).toEqual(['/t/']);
  });

  it('never exclude what is named, but what is in it', async () => {
    make({ 't/a/f': '', 't/b/g': '' });
    expect(await left({ patterns: ['t'] })).toEqual(['/t/']);
    expect(await left({ patterns: ['b'] }, ['t/b', 't'])).toEqual([
      '/t/',
      '/t/a/',
      '/t/a/f',
      '/t/b/',
    ]);
    expect(await left({ patterns: ['a'] }, ['t/a/f'])).toEqual(['/t/', '/t/a/', '/t/a/f']);
    const workingDirectory = path.join(folder, 't');
    const dot = await walkTargets(['.'], { workingDirectory, exclude: { patterns: ['a'] } });
    expect(dot.paths).toEqual(['/b/', '/b/g']);
    const both = await walkTargets(['a', '.'], { workingDirectory, exclude: { patterns: ['a'] } });
    expect(both.paths).toEqual(['/a/', '/b/', '/b/g']);
    const later = await walkTargets(['.', 'a'], { workingDirectory, exclude: { patterns: ['a'] } });
    expect(later.paths).toEqual(['/b/', '/b/g']);
  });

  it('hide problems of what they exclude', async () => {
    make({ 't/a/f': '' });
    expect(await left({ patterns: ['f'] })).toEqual(['/t/', '/t/a/']);
  });
});

describe('if-present', () => {
  it('keeps the directory and the tag', async () => {
    make({ 't/a/.nobackup': '', 't/a/f': '', 't/a/d/g': '', 't/b/f': '' });
    expect(await left({ ifPresent: ['.nobackup'] })).toEqual([
      '/t/',
      '/t/a/',
      '/t/a/.nobackup',
      '/t/b/',
      '/t/b/f',
    ]);
    expect(await left({ ifPresent: ['.nobackup'], patterns: ['.nobackup'] })).toEqual([
      '/t/',
      '/t/a/',
      '/t/b/',
      '/t/b/f',
    ]);
    make({ 't/a/tag': '' });
    expect(await left({ ifPresent: ['.nobackup', 'tag'] })).toEqual([
      '/t/',
      '/t/a/',
      '/t/b/',
      '/t/b/f',
    ]);
  });

  it('compares the start of the tag', async () => {
    make({
      't/a/tag': 'yes, indeed',
      't/a/f': '',
      't/b/tag': 'ye',
      't/b/f': '',
      't/c/tag': 'no, no',
      't/c/f': '',
    });
    mkdirSync(path.join(folder, 't/d/tag'), { recursive: true });
    mkdirSync(path.join(folder, 't/e'));
    symlinkSync('../a/tag', path.join(folder, 't/e/tag'));
    const { paths, notes } = await walkTargets(['t'], {
      workingDirectory: folder,
      exclude: { ifPresent: ['tag:yes'] },
    });
    expect(paths.filter((each) => each.startsWith('/t/a'))).toEqual(['/t/a/', '/t/a/tag']);
    expect(paths).toContain('/t/b/f');
    expect(paths).toContain('/t/c/f');
    expect(notes).toHaveLength(4);
    expect(notes[0]).toContain(
      't/b/tag does not start with the signature asked for: it excludes nothing',
    );
    expect(notes[2]).toContain('t/d/tag is not a regular file');
  });

  it('knows cache directories', async () => {
    make({
      't/cache/CACHEDIR.TAG': `${cacheHeader}\n# made by`,
      't/cache/f': '',
      't/x/CACHEDIR.TAG': 'no',
      't/x/f': '',
    });
    const { paths } = await walkTargets(['t'], {
      workingDirectory: folder,
      exclude: { caches: true },
    });
    expect(paths).toEqual([
      '/t/',
      '/t/cache/',
      '/t/cache/CACHEDIR.TAG',
      '/t/x/',
      '/t/x/CACHEDIR.TAG',
      '/t/x/f',
    ]);
  });

  it('holds for the entries of .', async () => {
    make({ 't/tag': '', 't/a/f': '', 't/b': '' });
    const workingDirectory = path.join(folder, 't');
    const { paths } = await walkTargets(['.'], {
      workingDirectory,
      exclude: { ifPresent: ['tag'] },
    });
    expect(paths).toEqual(['/tag']);
  });

  it('refuses a tag without a name', () => {
    for (const value of ['', ':header', 'a/b']) {
      expect(() => new ExcludeRules({ ifPresent: [value] })).toThrow(
        expect.objectContaining({ code: 'USAGE' }),
      );
    }
  });
});

it('leaves out what is larger, but directories', async () => {
  make({ 't/small': '12345', 't/large': '123456', 't/d/f': '' });
  expect(await left({ largerThanBytes: 5 })).toEqual(['/t/', '/t/d/', '/t/d/f', '/t/small']);
  expect(await left({ largerThanBytes: 0 })).toEqual(['/t/', '/t/d/', '/t/d/f']);
  expect(await left({ largerThanBytes: 0 }, ['t/large'])).toEqual(['/t/', '/t/large']);
});
