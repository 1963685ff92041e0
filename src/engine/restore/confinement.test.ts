import { spawn } from 'node:child_process';
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { toHex } from '../../base/bytes.ts';
import { systemRandom } from '../../base/random.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { idOf } from '../../repository/index-test-support.ts';
import {
  type FolderContent,
  type HeardRestore,
  madeFile,
  madeOfPieces,
  madeSpecial,
  noise,
  restoreHeard,
  SnapshotMaker,
  type TestFolder,
  testFolder,
} from '../engine-test-support.ts';
import type { RestoreOptions } from '../restore.ts';
import { saltFor, temporaryName } from './temporary-name.ts';
import { TreeBudget } from '../trees/tree-budget.ts';

let folder: TestFolder;
beforeAll(() => {
  folder = testFolder();
});
afterAll(() => folder.remove());

async function restored(
  content: FolderContent,
  target: string,
  options: Partial<RestoreOptions> = {},
): Promise<HeardRestore> {
  const maker = new SnapshotMaker();
  const snapshot = await maker.snapshotOf(content);
  return restoreHeard(await maker.indexed(), { snapshot, target, options });
}

/** A folder that nothing may be written to. */
function outsideFolder(): string {
  const outside = folder.fresh();
  mkdirSync(outside);
  writeFileSync(path.join(outside, 'passwd'), 'mine', { mode: 0o600 });
  return outside;
}

function expectUntouched(outside: string): void {
  expect(readdirSync(outside)).toEqual(['passwd']);
  expect(readFileSync(path.join(outside, 'passwd'), 'utf8')).toBe('mine');
  expect(statSync(path.join(outside, 'passwd')).mode & 0o777).toBe(0o600);
  expect(statSync(path.join(outside, 'passwd')).nlink).toBe(1);
}

function selectProc(at: Uint8Array): { selected: boolean; mayHoldSelected: boolean } {
  const selected = Buffer.from(at).toString().startsWith('/proc');
  return { selected, mayHoldSelected: selected };
}

/** Ends the racing process. */
let stop = (): void => {};

/** Forty small files. */
function many(text: string): FolderContent {
  return Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`${text}${i}`, `${text} ${i}`]));
}

describe('a crafted tree', () => {
  const time =
    '"mtime":"2020-01-01T00:00:00Z","atime":"2020-01-01T00:00:00Z","ctime":"2020-01-01T00:00:00Z"';
  const file = (name: string, id: string): string =>
    `{"name":"${name}","type":"file","mode":420,${time},"uid":0,"gid":0,"size":4,"content":["${id}"]}`;

  test.each([
    ['', 'empty'],
    ['.', '"."'],
    ['..', '".."'],
    ['../evil', 'slash'],
    ['a/b', 'slash'],
    ['/etc', 'slash'],
    ['nul\\\\x00l', 'null byte'],
    ['bad\\\\q', 'quoted'],
  ])('cannot name an entry %j; the others are restored', async (name, why) => {
    const base = folder.fresh();
    const target = path.join(base, 'in/ner');
    mkdirSync(target, { recursive: true });
    const maker = new SnapshotMaker();
    const id = toHex(maker.blob('data', Buffer.from('evil')));
    const json = `{"nodes":[${file(name, id)},${file('z', id)}]}\n`;
    const snapshot = await maker.snapshot(maker.rawTree(json));
    const result = await restoreHeard(await maker.indexed(), { snapshot, target });
    expect(new Set(readdirSync(base, { recursive: true, encoding: 'utf8' }))).toEqual(
      new Set(['in', 'in/ner', 'in/ner/z']),
    );
    expect(result.complaints).toHaveLength(1);
    expect(result.complaints[0]).toContain(why);
  });

  test('cannot use one name as a link and as a folder', async () => {
    const outside = outsideFolder();
    const target = folder.fresh();
    const maker = new SnapshotMaker();
    const id = toHex(maker.blob('data', Buffer.from('evil')));
    const below = toHex(maker.rawTree(`{"nodes":[${file('passwd', id)}]}\n`));
    const link = `{"name":"x","type":"symlink","mode":134218239,${time},"uid":0,"gid":0,"linktarget":"${outside}","content":null}`;
    const dir = `{"name":"x","type":"dir","mode":2147484141,${time},"uid":0,"gid":0,"content":null,"subtree":"${below}"}`;
    const snapshot = await maker.snapshot(maker.rawTree(`{"nodes":[${link},${dir}]}\n`));
    const result = await restoreHeard(await maker.indexed(), { snapshot, target });
    expectUntouched(outside);
    expect(readlinkSync(path.join(target, 'x'))).toBe(outside);
    expect(result.complaints).toEqual(['/x: an entry is left out: its name comes twice']);
  });

  test('cannot use temporary names against its own files', async () => {
    const target = folder.fresh();
    const [large, temporary] = ['large', Buffer.from(temporaryName(Buffer.from('large'), 0))];
    const content = {
      [large]: madeOfPieces([noise(600_000, 1), noise(600_000, 2)]),
      [temporary.toString()]: 'left by a restore that was backed up',
    };
    const result = await restored(content, target);
    expect(result.complaints).toEqual([]);
    expect(statSync(path.join(target, large)).size).toBe(1_200_000);
    expect(readFileSync(path.join(target, temporary.toString()), 'utf8')).toMatch(/^left by/);
    expect(readdirSync(target)).toHaveLength(2);
  });

  test('cannot make a link target with a null byte', async () => {
    const target = folder.fresh();
    const link = madeSpecial('symlink', { linkTarget: Buffer.from('/etc\0x') });
    const result = await restored({ link }, target);
    expect(readdirSync(target)).toEqual([]);
    expect(result.complaints).toEqual(['/link: the target of a link has a null byte']);
  });
});

describe('a target with traps', () => {
  test('of links in place of folders and files is left by none of them', async () => {
    const outside = outsideFolder();
    const target = folder.fresh();
    mkdirSync(target);
    symlinkSync(outside, path.join(target, 'dir'));
    symlinkSync(path.join(outside, 'passwd'), path.join(target, 'file'));
    symlinkSync(path.join(outside, 'new'), path.join(target, 'dangling'));
    const content = { dir: { passwd: 'evil', more: 'evil' }, file: 'evil', dangling: 'evil' };
    const result = await restored(content, target, { delete: true });
    expectUntouched(outside);
    expect(result.complaints).toEqual([]);
    expect(readFileSync(path.join(target, 'dir/passwd'), 'utf8')).toBe('evil');
    expect(lstatSync(path.join(target, 'file')).isFile()).toBe(true);
  });

  test.each([
    ['a small file', 'evil'],
    ['a file of several pieces', madeOfPieces([noise(600_000, 1), noise(600_000, 2)])],
  ])('under the temporary name of %s does not catch it', async (_, content) => {
    for (const trap of [symlinkSync, linkSync]) {
      const outside = outsideFolder();
      const target = folder.fresh();
      mkdirSync(target);
      const name = Buffer.from(temporaryName(Buffer.from('f'), 0)).toString();
      trap(path.join(outside, 'passwd'), path.join(target, name));
      const result = await restored({ f: content }, target);
      expectUntouched(outside);
      expect(result.complaints).toEqual([]);
      expect(readdirSync(target)).toEqual(['f']);
    }
  });

  test('does not get a folder of another file system emptied', async ({ skip }) => {
    skip(!existsSync('/proc/self'), 'needs a mounted file system');
    const maker = new SnapshotMaker();
    const snapshot = await maker.snapshotOf({ a: 'x' });
    const options = { delete: true, dryRun: true, select: selectProc };
    const result = await restoreHeard(await maker.indexed(), { snapshot, target: '/', options });
    expect(result.filesDeleted).toBe(0);
    expect(result.complaints).toEqual([
      '/proc: a file system is mounted here: nothing in it is removed',
    ]);
  });
});

describe('somebody who swaps folders for links', () => {
  /** Swaps `inside/d` with a link to `outside`, as fast as it can. */
  const racer = `
    const { renameSync, symlinkSync, unlinkSync } = require('node:fs');
    const [, target, outside] = process.argv;
    const dir = target + '/d', away = target + '/away';
    const tries = [() => renameSync(dir, away), () => symlinkSync(outside, dir), () => unlinkSync(dir), () => renameSync(away, dir)];
    process.stdout.write('x');
    for (;;) for (const step of tries) try { step(); } catch {}
  `;
  afterAll(() => stop());

  test('gets nothing written, changed or removed elsewhere', async () => {
    const outside = outsideFolder();
    const target = folder.fresh();
    mkdirSync(path.join(target, 'd/sub/more'), { recursive: true });
    const maker = new SnapshotMaker();
    const linked = { inode: 5, links: 2 };
    const snapshot = await maker.snapshotOf({
      d: { ...many('a'), passwd: madeFile('evil', linked), sub: { ...many('b') }, link: 'x' },
      e: madeFile('evil', linked),
    });
    const indexed = await maker.indexed();
    const racing = spawn(process.execPath, ['-e', racer, target, outside], { stdio: 'pipe' });
    stop = () => racing.kill('SIGKILL');
    await new Promise((resolve) => racing.stdout.once('data', resolve));
    for (let run = 0; run < 8; run++) {
      const options = { delete: run % 2 === 1, verify: run % 3 === 1, sparse: run % 4 === 1 };
      await restoreHeard(indexed, { snapshot, target, options });
      expectUntouched(outside);
    }
    stop();
  });
});

describe('a tree without end', () => {
  const location = { offset: 0, length: 100, uncompressedLength: 0 };
  const limits = { directories: 10, entries: 50 };

  function indexOf(count: number): BlobIndex {
    const index = BlobIndex.create();
    const pack = index.addPack(idOf('pack'));
    for (let i = 0; i < count; i++) index.insert('tree', idOf(i), { pack, ...location });
    return index;
  }

  test('is told from one that is large', () => {
    const budget = new TreeBudget(indexOf(1000), limits);
    for (let i = 0; i < 1000; i++) budget.enter(idOf(i), 100);
    // Most of a large one may even be there a hundred times.
    for (let i = 0; i < 99_000; i++) budget.enter(idOf(7), 100);
    for (let i = 0; i < 100_000; i++) budget.enter(idOf(8), 0);
    expect(() => {
      for (let i = 0; i < 1012; i++) budget.enter(idOf(7), 100);
    }).toThrow(/repeats its folders without end/);
  });

  test.each([
    [1, 10 + 100],
    [20, 2 + 100],
  ])('is one of few folders of %i entries, entered %i times', (entryCount, countMax) => {
    const budget = new TreeBudget(indexOf(1), limits);
    for (let i = 0; i < countMax; i++) budget.enter(idOf(0), entryCount);
    expect(() => budget.enter(idOf(0), entryCount)).toThrow(/without end/);
  });

  test('of 3,000 levels is no such tree', async () => {
    const maker = new SnapshotMaker();
    let tree = maker.folder({ f: 'deep' });
    const name = 'n'.repeat(10);
    for (let level = 0; level < 3000; level++) {
      tree = maker.folder({ [name]: madeSpecial('dir', { subtree: tree }), f: 'x' });
    }
    const snapshot = await maker.snapshot(tree);
    const target = folder.fresh();
    const indexed = await maker.indexed();
    const hearsItems = false;
    const result = await restoreHeard(indexed, { snapshot, target, hearsItems });
    expect(result).toMatchObject({ filesTotal: 6001, filesRestored: 6001, problemCount: 0 });
    const again = await restoreHeard(indexed, {
      snapshot,
      target,
      options: { verify: true },
      hearsItems,
    });
    expect(again).toMatchObject({ filesSkipped: 3001, filesVerified: 3001, problemCount: 0 });
    const flat = await maker.snapshotOf({});
    const options = { delete: true };
    const request = { snapshot: flat, target, options, hearsItems };
    const emptied = await restoreHeard(await maker.indexed(), request);
    expect(emptied).toMatchObject({ filesDeleted: 6001, problemCount: 0 });
    expect(readdirSync(target)).toEqual([]);
  });
});

describe('salts', () => {
  test('are needed only beside names of ours', () => {
    const random = systemRandom;
    expect(saltFor([Buffer.from('a'), Buffer.from('.holdfast-x.part')], random)).toBe(0);
    expect(saltFor([temporaryName(Buffer.from('a'), 0)], random)).toBeGreaterThan(0);
  });
});
