import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemEnvironment } from '../../base/environment.ts';
import { setExtendedAttribute, setTimes } from '../../platform/attributes.ts';
import { openDirectory, openDirectoryAt } from '../../platform/directory.ts';
import { closeFile, makeDirectoryAt, openFile } from '../../platform/files.ts';
import { unpacked } from '../../platform/packed-scan.ts';
import { type FileStatus, tryReadStatus } from '../../platform/status.ts';
import { openRequestOf, openSourceFile } from '../open-file.ts';
import { latin, problemsOf, walkSource, walkTargets } from './fixtures/walk.ts';
import { openFileSource } from './open-file-source.ts';

const isRoot = process.getuid?.() === 0;
const environment = systemEnvironment;
let folder: string;

beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), 'holdfast-file-source-')));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function at(...names: string[]): string {
  return path.join(folder, ...names);
}

/** Makes files; a name that ends in a slash is a directory. */
function make(...names: string[]): void {
  for (const name of names) {
    mkdirSync(path.dirname(at(name, 'x')), { recursive: true });
    if (!name.endsWith('/')) {
      rmSync(at(name), { recursive: true });
      writeFileSync(at(name), name);
    }
  }
}

/** Walks targets that are relative to the test's folder. */
function walk(targets: string[], options: Parameters<typeof walkTargets>[1] = {}) {
  return walkTargets(targets, { workingDirectory: folder, ...options });
}

describe('FileSource', () => {
  it('gives every entry with its metadata', async () => {
    make('t/a/f', 't/empty/');
    symlinkSync('nowhere/\u00e9', at('t/link'));
    linkSync(at('t/a/f'), at('t/hard'));
    spawnSync('mkfifo', [at('t/fifo')]);
    chmodSync(at('t/a/f'), 0o4751);
    const file = openFile(Buffer.from(at('t/a/f')), { write: true });
    setExtendedAttribute(file, { name: Buffer.from('user.note'), value: Uint8Array.of(0, 255) });
    setTimes(file, { mtime: { seconds: -3, nanoseconds: 500_000_001 } });
    closeFile(file);
    const { paths, entries, problems, vanished } = await walk(['t']);
    expect(paths).toEqual(['/t/', '/t/a/', '/t/a/f', '/t/empty/', '/t/fifo', '/t/hard', '/t/link']);
    expect([problems, vanished]).toEqual([[], []]);
    for (const [name, entry] of entries) {
      expect(latin(entry.path)).toBe(folder + name);
      expect(withoutAccess(entry.status)).toEqual(
        withoutAccess(tryReadStatus(Buffer.from(folder + name))),
      );
    }
    expect(entries.get('/t/a/f')?.status).toMatchObject({
      kind: 'file',
      mode: 0o4751,
      links: 2,
      mtime: { seconds: -3, nanoseconds: 500_000_001 },
    });
    const [attribute] = entries.get('/t/hard')?.extendedAttributes ?? [];
    expect(attribute).toEqual({
      name: Uint8Array.from(Buffer.from('user.note')),
      value: Uint8Array.of(0, 255),
    });
    expect(latin(entries.get('/t/link')?.linkTarget ?? new Uint8Array())).toBe(
      'nowhere/\u00c3\u00a9',
    );
    expect(entries.get('/t/fifo')?.status.kind).toBe('fifo');
  });

  it('leaves sockets out and says so', async () => {
    make('t/f');
    const server = createServer().listen(at('t/socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    const { paths, notes, problems } = await walk(['t', 't/socket']);
    server.close();
    expect(paths).toEqual(['/t/', '/t/f']);
    expect(problems).toEqual([]);
    expect(notes[0]).toContain('is a socket: left out');
  });

  it('keeps names that are no text, and sorts by bytes (hazard C9)', async () => {
    make('t/');
    const names = [
      [0xff],
      [0xc3, 0xa9],
      [0x65, 0xcc, 0x81],
      [0x0a],
      [0x2d, 0x72],
      [0xf0, 0x9f, 0x98, 0x80],
      [0xef, 0xbd, 0x9e],
    ];
    for (const name of names) writeFileSync(Buffer.from([...Buffer.from(at('t/')), ...name]), '');
    const { paths, entries } = await walk(['t']);
    const expected = names.map((name) => `/t/${latin(Uint8Array.from(name))}`).toSorted();
    expect(paths.slice(1)).toEqual(expected);
    for (const { path, status } of entries.values()) {
      expect(withoutAccess(tryReadStatus(path))).toEqual(withoutAccess(status));
    }
  });

  it('walks 3,000 levels, far beyond PATH_MAX (hazard C8)', async () => {
    const depth = 3000;
    const name = Buffer.from('d234567890');
    let directory = openDirectory(Buffer.from(folder));
    for (let i = 0; i < depth; i++) {
      makeDirectoryAt(directory, name);
      const next = openDirectoryAt(directory, name);
      closeFile(directory);
      directory = next;
    }
    closeFile(openFile({ directory, name: Buffer.from('deepest') }, { write: true, create: true }));
    closeFile(directory);
    const { entries, problems, paths } = await walk(['d234567890'], {
      exclude: { patterns: ['*.tmp', '/x/y'] },
    });
    expect(problems).toEqual([]);
    expect(entries.size).toBe(depth + 1);
    const deepest = entries.get(paths.at(-1) ?? '');
    expect(deepest?.path).toHaveLength(folder.length + depth * 11 + '/deepest'.length);
    if (!deepest) throw new Error('unreachable');
    const opened = openSourceFile(openRequestOf(deepest));
    expect(opened.status).toEqual(unpacked(deepest.status));
    closeFile(opened.fd);
    spawnSync('rm', ['-rf', at('d234567890')]);
  });

  it('lists what is gone by then as vanished (hazard C2)', async () => {
    make('t/a/f', 't/b/g');
    const source = await openFileSource([at('t')], { environment });
    const target = await walkDown(source, folder.split('/').length);
    const [a, b] = source.list(target).entries;
    if (!a || !b) throw new Error('unreachable');
    rmSync(at('t/a'), { recursive: true });
    expect(source.list(a)).toEqual({
      entries: [],
      problems: [],
      complete: false,
      vanished: [Uint8Array.from(Buffer.from(at('t/a')))],
    });
    expect(source.list(b).entries).toHaveLength(1);
  });

  it('reads nothing of a directory that was swapped (hazard C3)', async () => {
    make('t/a/f', 't/b/g', 'other/secret');
    const source = await openFileSource([at('t')], { environment });
    const target = await walkDown(source, folder.split('/').length);
    const [a, b] = source.list(target).entries;
    if (!a || !b) throw new Error('unreachable');
    rmSync(at('t/a'), { recursive: true });
    symlinkSync(at('other'), at('t/a'));
    rmSync(at('t/b'), { recursive: true });
    renameSync(at('other'), at('t/b'));
    for (const entry of [a, b]) {
      const listing = source.list(entry);
      expect(listing).toMatchObject({ entries: [], complete: false });
      expect(problemsOf(listing)).toEqual([`SOURCE_FAILED(replaced) ${latin(entry.path)}`]);
    }
  });

  it.runIf(isRoot)('goes on after what it may not read (hazard C4)', async () => {
    make('t/closed/f', 't/open/g', 't/unlisted/h');
    chmodSync(at('t/closed'), 0);
    chmodSync(at('t/unlisted'), 0o444);
    chmodSync(folder, 0o755);
    process.seteuid?.(65_534);
    try {
      const { paths, problems } = await walk(['t']);
      expect(paths).toEqual(['/t/', '/t/open/', '/t/open/g', '/t/unlisted/']);
      expect(problemsOf({ problems })).toEqual([
        `PERMISSION_DENIED ${at('t/closed')}`,
        `PERMISSION_DENIED ${at('t/unlisted/h')}`,
      ]);
    } finally {
      process.seteuid?.(0);
    }
  });
});

describe('targets', () => {
  it('puts real metadata on parents, also through links', async () => {
    make('real/sub/f');
    symlinkSync('real', at('link'));
    const { paths, entries } = await walk(['link/sub']);
    expect(paths).toEqual(['/link/', '/link/sub/', '/link/sub/f']);
    expect(entries.get('/link')?.isImplied).toBe(true);
    expect(entries.get('/link')?.status.inode).toBe(lstatSync(at('real')).ino);
    expect(entries.get('/link/sub')?.isImplied).toBe(false);
    const direct = await walk(['link', 'link/']);
    expect(direct.paths).toEqual(['/link']);
    expect(direct.entries.get('/link')?.status.kind).toBe('symlink');
  });

  it('merges nested targets into the upper one', async () => {
    make('t/a/b/g', 't/a/f', 't/c');
    symlinkSync('a', at('t/la'));
    const whole = ['/t/', '/t/a/', '/t/a/b/', '/t/a/b/g', '/t/a/f', '/t/c', '/t/la'];
    expect((await walk(['t/a/b', 't', 't'])).paths).toEqual(whole);
    expect((await walk(['t', 't/a/f'])).paths).toEqual(whole);
    const through = await walk(['t', 't/la/b']);
    expect(through.paths).toEqual([
      ...whole.slice(0, -1),
      '/t/la/',
      '/t/la/b/',
      '/t/la/b/g',
      '/t/la/f',
    ]);
  });

  it('replaces . and .. by their entries', async () => {
    make('t/a/f', 't/b', 'u');
    expect((await walk(['.'], { workingDirectory: at('t') })).paths).toEqual(['/a/', '/a/f', '/b']);
    expect((await walk(['..'], { workingDirectory: at('t/a') })).paths).toEqual([
      '/a/',
      '/a/f',
      '/b',
    ]);
    const both = await walk(['..', 'f'], { workingDirectory: at('t/a') });
    expect(both.paths).toEqual(['/a/', '/a/f', '/b', '/f']);
  });

  it('renames what collides', async () => {
    make('x/f', 'y/x/g');
    const { paths, entries } = await walk(['x', '../x'], { workingDirectory: at('y') });
    expect(paths).toEqual(['/x/', '/x/g', '/x-1/', '/x-1/f']);
    expect(latin(entries.get('/x-1/f')?.path ?? new Uint8Array())).toBe(at('x/f'));
    const spread = await walk(['x', '..'], { workingDirectory: at('y') });
    expect(spread.paths).toEqual(['/x/', '/x/g', '/x-1/', '/x-1/f', '/y/', '/y/x/', '/y/x/g']);
  });

  it('records absolute paths', async () => {
    make('t/f', 'u');
    const source = await openFileSource(['../t', 'f', 'none'], {
      environment,
      workingDirectory: at('t'),
      recordedExcludes: ['*.tmp'],
    });
    expect(source.paths).toEqual([at('t'), at('t/f')]);
    expect(source.excludes).toEqual(['*.tmp']);
    const root = source.root();
    expect(root.problems.map(({ error }) => error.code)).toEqual(['SOURCE_MISSING']);
    expect(root.entries.map((entry) => latin(entry.name))).toEqual(['f', 't']);
  });

  it('refuses to go on when nothing is there', async () => {
    make('f');
    await expect(walk(['none'])).rejects.toMatchObject({
      code: 'SOURCE_MISSING',
      details: { path: 'none' },
    });
    await expect(walk(['f/x', 'none', ''])).rejects.toMatchObject({ code: 'SOURCE_MISSING' });
    await expect(walk([])).rejects.toMatchObject({ code: 'SOURCE_MISSING' });
  });

  it('tells of targets that vanish after they were found', async () => {
    make('a', 'b/c');
    const source = await openFileSource(['a', 'b/c'], { environment, workingDirectory: folder });
    rmSync(at('a'));
    rmSync(at('b'), { recursive: true });
    const { paths, vanished } = await walkSource(source);
    expect(paths).toEqual([]);
    expect(vanished).toEqual([at('a'), at('b')]);
  });
});

/** Listing a directory touches its access time. */
function withoutAccess(status: FileStatus | undefined): Partial<FileStatus> {
  const { atime: _, ...rest } = status ? unpacked(status) : {};
  return rest;
}

/** The directory entry `depth` levels below the root: through parents that a target implies. */
async function walkDown(source: Awaited<ReturnType<typeof openFileSource>>, depth: number) {
  let listing = source.root();
  for (let level = 1; level < depth; level++) {
    const [entry] = listing.entries;
    if (!entry) throw new Error('the walk ends early');
    listing = source.list(entry);
  }
  const [entry] = listing.entries;
  if (!entry) throw new Error('the walk ends early');
  return entry;
}
