import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { openDirectoryAt } from './directory.ts';
import {
  closeFile,
  exists,
  makeDirectories,
  makeDirectoryAt,
  readWholeFile,
  removeTree,
  splitPath,
  syncDirectory,
  temporaryDirectory,
  writeFileAtomic,
} from './files.ts';
import { b, describeSystems, latin } from './fixtures/both-systems.ts';

describeSystems('folders', (scratch) => {
  it('makes directories and knows what exists', () => {
    expect(exists(scratch.bytesAt('a'))).toBe(false);
    makeDirectories(scratch.bytesAt('a/b/c'));
    makeDirectories(scratch.bytesAt('a/b/c'));
    expect(exists(scratch.bytesAt('a/b/c'))).toBe(true);
    symlinkSync('nowhere', scratch.at('dangling'));
    expect(exists(scratch.bytesAt('dangling'))).toBe(false);
    writeFileSync(scratch.at('f'), '');
    expect(() => makeDirectories(scratch.bytesAt('f/x'))).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ code: 'ENOTDIR' }) }),
    );
  });

  it('makes directories on the way, whatever the path looks like', () => {
    makeDirectories(scratch.bytesAt('a//b/./c/'));
    makeDirectories(scratch.bytesAt(Buffer.from([0xff, 0x2f, 0xfe])));
    makeDirectories(b('/'));
    symlinkSync('a/b', scratch.at('link'));
    makeDirectories(scratch.bytesAt('link/d'));
    expect(exists(scratch.bytesAt('a/b/c'))).toBe(true);
    expect(exists(scratch.bytesAt('a/b/d'))).toBe(true);
    expect(exists(scratch.bytesAt(Buffer.from([0xff, 0x2f, 0xfe])))).toBe(true);
    symlinkSync('nowhere', scratch.at('dangling'));
    expect(() => makeDirectories(scratch.bytesAt('dangling/d'))).toThrow(
      expect.objectContaining({ code: 'FILE_EXISTS' }),
    );
  });

  // Node's own way of making directories with those above them never ends there.
  it.runIf(process.platform === 'linux')('ends where no directory can be made', () => {
    expect(() => makeDirectories(b('/proc/holdfast/deeper'))).toThrow(
      expect.objectContaining({
        message: 'no folder can be made here',
        details: { call: 'mkdir', code: 'ENOENT', path: '/proc/holdfast' },
      }),
    );
  });

  // Of the usual file systems only tmpfs has files so large.
  it.skipIf(!existsSync('/dev/shm'))('removes a file of 2^53 bytes and more', () => {
    const folder = temporaryDirectory('holdfast-large-', '/dev/shm');
    const file = Buffer.concat([folder, b('/large')]);
    execFileSync('truncate', ['-s', String(2 ** 53), latin(file)]);
    expect(exists(file)).toBe(true);
    removeTree(folder);
    expect(existsSync(Buffer.from(folder))).toBe(false);
  });

  it('makes a temporary directory that is only ours', () => {
    const path = temporaryDirectory('x-', scratch.path);
    expect(statSync(Buffer.from(path)).mode & 0o777).toBe(0o700);
  });

  it('removes a tree but nothing behind links', () => {
    mkdirSync(scratch.at('kept'));
    writeFileSync(scratch.at('kept/f'), '');
    mkdirSync(scratch.at('gone/a/b'), { recursive: true });
    symlinkSync(scratch.at('kept'), scratch.at('gone/a/link'));
    writeFileSync(scratch.bytesAt(Buffer.from([...b('gone/'), 0xff, 0x0a])), '');
    symlinkSync('gone', scratch.at('to-gone'));
    removeTree(scratch.bytesAt('gone/'));
    removeTree(scratch.bytesAt('gone'));
    removeTree(scratch.bytesAt('to-gone'));
    removeTree(scratch.bytesAt('kept/f'));
    expect(readdirSync(scratch.path)).toEqual(['kept']);
    expect(readdirSync(scratch.at('kept'))).toEqual([]);
  });

  it('removes a tree 1,000 levels deep with few descriptors', () => {
    makeDirectoryAt(scratch.directory, b('deep'));
    let directory = openDirectoryAt(scratch.directory, b('deep'));
    for (let level = 0; level < 1000; level++) {
      makeDirectoryAt(directory, b('d'.repeat(100)));
      const next = openDirectoryAt(directory, b('d'.repeat(100)));
      closeFile(directory);
      directory = next;
    }
    closeFile(directory);
    removeTree(scratch.bytesAt('deep'));
    expect(existsSync(scratch.at('deep'))).toBe(false);
  });

  it('syncs directories', () => {
    expect(() => syncDirectory(scratch.directory)).not.toThrow();
    expect(() => syncDirectory(99_999)).not.toThrow();
  });

  it('writes a file whole or not at all', () => {
    writeFileAtomic(scratch.bytesAt('f'), b('one'), 0o644);
    expect(readFileSync(scratch.at('f'), 'utf8')).toBe('one');
    expect(statSync(scratch.at('f')).mode & 0o777).toBe(0o644);
    writeFileAtomic(scratch.bytesAt('f'), b('two'));
    expect(readFileSync(scratch.at('f'), 'utf8')).toBe('two');
    expect(statSync(scratch.at('f')).mode & 0o777).toBe(0o600);
    mkdirSync(scratch.at('d/e'), { recursive: true });
    expect(() => writeFileAtomic(scratch.bytesAt('d'), b('x'))).toThrow();
    expect(() => writeFileAtomic(scratch.bytesAt('none/x'), b('x'))).toThrow(
      expect.objectContaining({ code: 'FILE_NOT_FOUND' }),
    );
    expect(readdirSync(scratch.path)).toEqual(['d', 'f']);
  });

  it('reads a whole file up to a limit, also from a FIFO and through a link', () => {
    writeFileSync(scratch.at('f'), Buffer.alloc(200_000, 0x61));
    symlinkSync('f', scratch.at('link'));
    expect(readWholeFile(scratch.bytesAt('link'), { sizeBytesMax: 200_000 })).toHaveLength(200_000);
    expect(() => readWholeFile(scratch.bytesAt('f'), { sizeBytesMax: 199_999 })).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ code: 'EFBIG' }) }),
    );
    writeFileSync(scratch.at('empty'), '');
    expect(readWholeFile(scratch.bytesAt('empty'), { sizeBytesMax: 0 })).toHaveLength(0);
    execFileSync('sh', ['-c', `mkfifo fifo; echo secret > fifo &`], {
      cwd: scratch.path,
      stdio: 'ignore',
    });
    expect(latin(readWholeFile(scratch.bytesAt('fifo'), { sizeBytesMax: 100 }))).toBe('secret\n');
  });

  it.each([
    ['/a/b', '/a/', 'b'],
    ['/a/b//', '/a/', 'b'],
    ['b', '.', 'b'],
    ['/b', '/', 'b'],
    ['a//b', 'a//', 'b'],
  ])('splits %s', (path, parent, name) => {
    const split = splitPath(b(path));
    expect([latin(split.parent), latin(split.name)]).toEqual([parent, name]);
  });
});
