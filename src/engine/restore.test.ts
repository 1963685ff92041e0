import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { IndexedRepository } from '../repository/indexed.ts';
import type { StoredSnapshot } from '../repository/snapshots.ts';
import {
  type FolderContent,
  madeFile,
  madeLink,
  madeOfPieces,
  madeSpecial,
  noise,
  restoreHeard,
  SnapshotMaker,
  type TestFolder,
  testFolder,
} from './engine-test-support.ts';
import type { RestoreOptions } from './restore.ts';
import type { EntrySelect } from './trees/entry-select.ts';

let folder: TestFolder;
beforeAll(() => {
  folder = testFolder();
});
afterAll(() => folder.remove());

interface Made {
  readonly snapshot: StoredSnapshot;
  readonly indexed: IndexedRepository;
}

async function made(content: FolderContent): Promise<Made> {
  const maker = new SnapshotMaker();
  const snapshot = await maker.snapshotOf(content);
  return { snapshot, indexed: await maker.indexed() };
}

function restoreTo(
  { snapshot, indexed }: Made,
  target: string,
  options: Partial<RestoreOptions> = {},
): ReturnType<typeof restoreHeard> {
  return restoreHeard(indexed, { snapshot, target, options });
}

/** Paths and contents below a folder: text of files, target of links, null for folders. */
function contentOf(root: string): Record<string, string | null> {
  const found: Record<string, string | null> = {};
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted();
  for (const name of names) {
    const at = path.join(root, name);
    const status = lstatSync(at);
    if (status.isSymbolicLink()) found[name] = `-> ${readlinkSync(at)}`;
    else found[name] = status.isFile() ? readFileSync(at, 'latin1') : null;
  }
  return found;
}

/** Selects what `selected` matches; every folder may hold more. */
function select(selected: RegExp): EntrySelect {
  return (at, isDirectory) => {
    const isSelected = selected.test(Buffer.from(at).toString('latin1'));
    return { selected: isSelected, mayHoldSelected: isSelected || isDirectory };
  };
}

/** Leaves out what `left` matches, and all below. */
function leaveOut(left: RegExp): EntrySelect {
  return (at) => {
    const selected = !left.test(Buffer.from(at).toString('latin1'));
    return { selected, mayHoldSelected: selected };
  };
}

async function overExisting(
  overwrite: RestoreOptions['overwrite'],
  time: Date,
): Promise<{ content: string; result: Awaited<ReturnType<typeof restoreTo>> }> {
  const target = folder.fresh();
  mkdirSync(target);
  const at = path.join(target, 'a');
  writeFileSync(at, 'old');
  utimesSync(at, time, time);
  const result = await restoreTo(await made({ a: 'new' }), target, { overwrite });
  return { content: readFileSync(at, 'utf8'), result };
}

/** A target with more in it than the small snapshot has. */
function withOthers(): string {
  const target = folder.fresh();
  mkdirSync(path.join(target, 'more/sub'), { recursive: true });
  mkdirSync(path.join(target, 'dir'));
  writeFileSync(path.join(target, 'more/sub/x.keep'), '');
  writeFileSync(path.join(target, 'more/y'), '');
  writeFileSync(path.join(target, 'dir/other'), '');
  symlinkSync(folder.path, path.join(target, 'more/outside'));
  return target;
}

const small = {
  a: 'one',
  dir: { b: 'two', deep: { c: 'three' } },
  empty: {},
  link: madeLink('a'),
} as const satisfies FolderContent;

describe('a restore', () => {
  test('brings back everything, and counts it', async () => {
    const target = folder.fresh();
    const result = await restoreTo(await made(small), target);
    expect(contentOf(target)).toEqual({
      a: 'one',
      dir: null,
      'dir/b': 'two',
      'dir/deep': null,
      'dir/deep/c': 'three',
      empty: null,
      link: '-> a',
    });
    expect(result).toMatchObject({ filesTotal: 7, filesRestored: 7, filesSkipped: 0 });
    expect(result).toMatchObject({ bytesTotal: 11, bytesRestored: 11, bytesSkipped: 0 });
    expect(result.complaints).toEqual([]);
    expect(result.items).toEqual([
      'restored /a',
      'restored /dir/',
      'restored /dir/b',
      'restored /dir/deep/',
      'restored /dir/deep/c',
      'restored /empty/',
      'restored /link',
    ]);
    expect(result.lastProgress).toMatchObject({ filesDone: 7, bytesDone: 11, bytesTotal: 11 });
  });

  test('writes nothing again that is right', async () => {
    const target = folder.fresh();
    const snapshot = await made(small);
    await restoreTo(snapshot, target);
    const before = statSync(path.join(target, 'dir/b')).ino;
    const result = await restoreTo(snapshot, target);
    expect(statSync(path.join(target, 'dir/b')).ino).toBe(before);
    expect(result).toMatchObject({ filesTotal: 4, filesRestored: 4, filesSkipped: 3 });
    expect(result).toMatchObject({ bytesTotal: 0, bytesRestored: 0, bytesSkipped: 11 });
    expect(result.items.filter((item) => item.startsWith('unchanged'))).toHaveLength(3);
  });

  test('takes one folder of the snapshot', async () => {
    const target = folder.fresh();
    await restoreTo(await made(small), target, { subfolder: '/dir//deep/' });
    expect(contentOf(target)).toEqual({ c: 'three' });
  });

  test.each([
    ['none', /none.*not in the snapshot/],
    ['a', /"a" is a file, not a folder/],
    ['dir/b/c', /"dir\/b" is a file/],
  ])('says what is wrong with the folder %s', async (subfolder, message) => {
    const snapshot = await made(small);
    await expect(restoreTo(snapshot, folder.fresh(), { subfolder })).rejects.toThrow(message);
  });

  test('says that the target is not a folder', async () => {
    const target = folder.fresh();
    writeFileSync(target, 'x');
    for (const place of [target, path.join(target, 'below')]) {
      const restored = made(small).then((snapshot) => restoreTo(snapshot, place));
      await expect(restored).rejects.toThrow('the target is not a folder');
    }
    expect(readFileSync(target, 'utf8')).toBe('x');
  });

  test('replaces whatever has the name, but no folder that is not empty', async () => {
    const target = folder.fresh();
    mkdirSync(path.join(target, 'a'), { recursive: true });
    mkdirSync(path.join(target, 'link', 'full'), { recursive: true });
    writeFileSync(path.join(target, 'dir'), 'no folder');
    symlinkSync('/etc', path.join(target, 'empty'));
    const result = await restoreTo(await made(small), target);
    expect(contentOf(target)).toMatchObject({ a: 'one', 'dir/b': 'two', 'link/full': null });
    expect(lstatSync(path.join(target, 'empty')).isDirectory()).toBe(true);
    expect(result.complaints).toEqual(['/link: a folder that is not empty is in the way']);
    expect(result).toMatchObject({ filesTotal: 7, filesRestored: 6, problemCount: 1 });
  });

  test('replaces a folder that is not empty if it may delete', async () => {
    const target = folder.fresh();
    mkdirSync(path.join(target, 'link', 'full'), { recursive: true });
    const result = await restoreTo(await made(small), target, { delete: true });
    expect(readlinkSync(path.join(target, 'link'))).toBe('a');
    expect(result).toMatchObject({ filesDeleted: 2, problemCount: 0 });
  });

  test('writes existing files anew, longer or read-only ones too', async () => {
    const target = folder.fresh();
    mkdirSync(target);
    writeFileSync(path.join(target, 'long'), 'x'.repeat(1000), { mode: 0o400 });
    writeFileSync(path.join(target, 'short'), 'x');
    writeFileSync(path.join(target, 'none'), 'something');
    const content = { long: 'now short', short: 'now longer', none: '' };
    const result = await restoreTo(await made(content), target);
    expect(contentOf(target)).toEqual(content);
    expect(result.items).toEqual(['updated /long', 'updated /none', 'updated /short']);
  });

  test('takes the content for the size where the record differs', async () => {
    const target = folder.fresh();
    const snapshot = await made({ f: madeFile('four', { sizeBytes: 99 }) });
    const result = await restoreTo(snapshot, target, { verify: true });
    expect(contentOf(target)).toEqual({ f: 'four' });
    expect(result).toMatchObject({ bytesTotal: 4, bytesRestored: 4, filesVerified: 1 });
    expect(await restoreTo(snapshot, target)).toMatchObject({ filesSkipped: 1, bytesRestored: 0 });
  });

  test('gives modes and times, folders after what is in them', async () => {
    const target = folder.fresh();
    const mtime = { seconds: -3, nanoseconds: 5 };
    const atime = { seconds: 7, nanoseconds: 999_999_999 };
    const maker = new SnapshotMaker();
    const subtree = maker.folder({ f: madeFile('x', { mode: 0o640, mtime, atime }) });
    const dir = madeSpecial('dir', { mode: 0x80000000 + 0o500, mtime, atime, subtree });
    const snapshot = await maker.snapshotOf({ dir });
    await restoreHeard(await maker.indexed(), { snapshot, target });
    for (const [name, mode] of [
      ['dir', 0o500],
      ['dir/f', 0o640],
    ] as const) {
      const status = lstatSync(path.join(target, name), { bigint: true });
      expect(status.mode & 0o7777n).toBe(BigInt(mode));
      expect(status.mtimeNs).toBe(-2_999_999_995n);
    }
    chmodSync(path.join(target, 'dir'), 0o700);
  });
});

describe('files that exist', () => {
  const past = new Date(1_400_000_000_000);
  const future = new Date(1_600_000_000_000);

  test.each([
    ['always', past, 'new'],
    ['always', future, 'new'],
    ['if-changed', future, 'new'],
    ['if-newer', past, 'new'],
    ['if-newer', future, 'old'],
    ['never', past, 'old'],
  ] as const)('with %s and time %s are %s', async (overwrite, time, expected) => {
    const { content, result } = await overExisting(overwrite, time);
    expect(content).toBe(expected);
    const isKept = expected === 'old';
    expect(result).toMatchObject({ filesSkipped: isKept ? 1 : 0, filesTotal: isKept ? 0 : 1 });
    expect(result.items).toEqual([isKept ? 'unchanged /a' : 'updated /a']);
  });

  test('are trusted by size and time with if-changed', async () => {
    const target = folder.fresh();
    const snapshot = await made({ a: 'new' });
    await restoreTo(snapshot, target);
    const { atime, mtime } = statSync(path.join(target, 'a'));
    writeFileSync(path.join(target, 'a'), 'xyz');
    utimesSync(path.join(target, 'a'), atime, mtime);
    // utimes loses nanoseconds, so this one is compared.
    const compared = await restoreTo(snapshot, target, { overwrite: 'if-changed' });
    expect(compared).toMatchObject({ filesSkipped: 0, bytesRestored: 3 });
    const trusted = await restoreTo(snapshot, target, { overwrite: 'if-changed' });
    expect(trusted).toMatchObject({ filesSkipped: 1, bytesRestored: 0 });
  });

  test('stay, and keep folders away, with never', async () => {
    const target = folder.fresh();
    mkdirSync(target);
    writeFileSync(path.join(target, 'dir'), 'mine');
    const result = await restoreTo(await made(small), target, { overwrite: 'never' });
    expect(readFileSync(path.join(target, 'dir'), 'utf8')).toBe('mine');
    expect(result.complaints).toEqual(['/dir: something that is no folder is in the way']);
  });
});

describe('hard links', () => {
  const linked = { inode: 5, links: 3 };

  test('come back as one file', async () => {
    const target = folder.fresh();
    const more = { ...linked, mode: 0o604 };
    const snapshot = await made({
      a: madeFile('shared', more),
      sub: { b: madeFile('shared', more) },
      z: madeFile('shared', more),
    });
    const result = await restoreTo(snapshot, target);
    const inodes = ['a', 'sub/b', 'z'].map((name) => statSync(path.join(target, name)).ino);
    expect(new Set(inodes).size).toBe(1);
    expect(result).toMatchObject({ filesTotal: 4, filesRestored: 4, bytesTotal: 6 });
    const again = await restoreTo(snapshot, target);
    expect(statSync(path.join(target, 'z')).ino).toBe(inodes[0]);
    expect(again).toMatchObject({ filesSkipped: 1, bytesRestored: 0, problemCount: 0 });
  });

  test('of links and FIFOs come back too', async () => {
    const target = folder.fresh();
    const link = madeSpecial('symlink', { ...linked, linkTarget: Buffer.from('x') });
    await restoreTo(await made({ l1: link, l2: link }), target);
    const [a, b] = ['l1', 'l2'].map((name) => lstatSync(path.join(target, name)));
    expect(a?.ino).toBe(b?.ino);
  });

  test('are not made of files that differ, whatever their numbers say', async () => {
    const target = folder.fresh();
    const content = { a: madeFile('one', linked), b: madeFile('two', linked) };
    await restoreTo(await made(content), target);
    expect(contentOf(target)).toEqual({ a: 'one', b: 'two' });
  });

  test('in the target are replaced, not written through', async () => {
    const target = folder.fresh();
    const outside = folder.fresh();
    mkdirSync(target);
    const right = noise(600_000, 1);
    const pieces = [right, noise(700_000, 2), noise(500_000, 3)];
    // The first piece is right already: restic then leaves zeros in its place (format, chapter 14).
    writeFileSync(outside, Buffer.concat([right, noise(900_000, 4)]));
    const before = readFileSync(outside);
    linkSync(outside, path.join(target, 'f'));
    const result = await restoreTo(await made({ f: madeOfPieces(pieces) }), target);
    expect(readFileSync(outside).equals(before)).toBe(true);
    expect(readFileSync(path.join(target, 'f')).equals(Buffer.concat(pieces))).toBe(true);
    expect(result).toMatchObject({ bytesRestored: 1_800_000, problemCount: 0 });
  });

  test('in the target do not lend their inode to a file with one name', async () => {
    const target = folder.fresh();
    const outside = folder.fresh();
    mkdirSync(target);
    writeFileSync(outside, 'same', { mode: 0o600 });
    linkSync(outside, path.join(target, 'f'));
    await restoreTo(await made({ f: madeFile('same', { mode: 0o666 }) }), target);
    expect(statSync(outside).mode & 0o777).toBe(0o600);
    expect(statSync(path.join(target, 'f')).nlink).toBe(1);
  });

  test('to a file outside are cut, not led through, though the snapshot has links as well', async () => {
    const target = folder.fresh();
    const outside = folder.fresh();
    mkdirSync(target);
    writeFileSync(outside, 'same', { mode: 0o600 });
    const before = statSync(outside);
    linkSync(outside, path.join(target, 'a'));
    const file = madeFile('same', { inode: 5, links: 2, mode: 0o777 });
    const result = await restoreTo(await made({ a: file, b: file }), target);
    expect(result.complaints).toEqual([]);
    const { mode, mtimeMs, nlink, ino } = statSync(outside);
    expect([mode & 0o777, mtimeMs, nlink]).toEqual([0o600, before.mtimeMs, 1]);
    const [a, b] = ['a', 'b'].map((name) => statSync(path.join(target, name)));
    expect(a?.ino).toBe(b?.ino);
    expect(a?.ino).not.toBe(ino);
  });

  test('are kept as far as all of them are there, and not those that are left alone', async () => {
    const target = folder.fresh();
    const file = madeFile('shared', linked);
    const snapshot = await made({ a: file, sub: { b: file }, z: file });
    await restoreTo(snapshot, target);
    const inode = (name: string): number => statSync(path.join(target, name)).ino;
    const first = inode('a');
    rmSync(path.join(target, 'sub/b'));
    expect(await restoreTo(snapshot, target)).toMatchObject({ bytesRestored: 0, problemCount: 0 });
    expect([inode('a'), inode('sub/b'), inode('z')]).toEqual([first, first, first]);
    chmodSync(path.join(target, 'z'), 0o600);
    await restoreTo(snapshot, target, { select: leaveOut(/^\/z/) });
    expect(inode('z')).toBe(first);
    expect(statSync(path.join(target, 'z')).mode & 0o777).toBe(0o600);
    expect(inode('a')).not.toBe(first);
    expect(inode('a')).toBe(inode('sub/b'));
  });

  test('in the target do not make two groups of the snapshot one', async () => {
    const target = folder.fresh();
    mkdirSync(target);
    writeFileSync(path.join(target, 'a1'), 'same');
    linkSync(path.join(target, 'a1'), path.join(target, 'b1'));
    const [a, b] = [
      { inode: 5, links: 2, mode: 0o600 },
      { inode: 6, links: 2, mode: 0o644 },
    ];
    const [a1, b1] = [madeFile('same', a), madeFile('same', b)];
    await restoreTo(await made({ a1, a2: a1, b1, b2: b1 }), target);
    const status = (name: string): [number, number] => {
      const { ino, mode } = statSync(path.join(target, name));
      return [ino, mode & 0o777];
    };
    expect(status('a1')).toEqual(status('a2'));
    expect(status('b1')).toEqual(status('b2'));
    expect(status('a1')[1]).toBe(0o600);
    expect(status('b1')[1]).toBe(0o644);
  });
});

describe('a selection', () => {
  test('makes only the folders that it needs', async () => {
    const target = folder.fresh();
    const result = await restoreTo(await made(small), target, { select: select(/\/c$/) });
    expect(contentOf(target)).toEqual({ dir: null, 'dir/deep': null, 'dir/deep/c': 'three' });
    expect(result).toMatchObject({ filesTotal: 3, filesRestored: 3 });
  });

  test('does not enter folders that it leaves out', async () => {
    const target = folder.fresh();
    await restoreTo(await made(small), target, { select: leaveOut(/^\/dir/) });
    expect(contentOf(target)).toEqual({ a: 'one', empty: null, link: '-> a' });
  });

  test('leaves what is in the way of folders that nothing is put into', async () => {
    const target = folder.fresh();
    mkdirSync(target);
    writeFileSync(path.join(target, 'empty'), 'mine');
    await restoreTo(await made(small), target, { select: select(/\/[ac]$/) });
    expect(contentOf(target)).toMatchObject({ a: 'one', 'dir/deep/c': 'three', empty: 'mine' });
  });

  test('leaves the mode of existing folders alone that it does not take', async () => {
    const target = folder.fresh();
    mkdirSync(path.join(target, 'dir/deep'), { recursive: true });
    chmodSync(path.join(target, 'dir'), 0o711);
    await restoreTo(await made(small), target, { select: select(/\/c$/) });
    expect(statSync(path.join(target, 'dir')).mode & 0o777).toBe(0o711);
  });
});

describe('deleting', () => {
  test('removes what the snapshot does not have, and follows no link', async () => {
    const target = withOthers();
    const result = await restoreTo(await made(small), target, { delete: true });
    expect(Object.keys(contentOf(target))).toEqual([
      'a',
      'dir',
      'dir/b',
      'dir/deep',
      'dir/deep/c',
      'empty',
      'link',
    ]);
    expect(result).toMatchObject({ filesDeleted: 6, problemCount: 0 });
    expect(result.items.filter((item) => item.startsWith('deleted'))).toEqual([
      'deleted /dir/other',
      'deleted /more/',
      'deleted /more/outside',
      'deleted /more/sub/',
      'deleted /more/sub/x.keep',
      'deleted /more/y',
    ]);
    expect(existsSync(folder.path)).toBe(true);
  });

  test('leaves what the selection leaves out, in folders that go as well', async () => {
    const target = withOthers();
    const options = { delete: true, select: leaveOut(/keep$/) };
    const result = await restoreTo(await made(small), target, options);
    expect(existsSync(path.join(target, 'more/sub/x.keep'))).toBe(true);
    expect(existsSync(path.join(target, 'more/y'))).toBe(false);
    expect(result.filesDeleted).toBe(3);
  });

  test('is confined to the selected folders', async () => {
    const target = withOthers();
    await restoreTo(await made(small), target, { delete: true, select: select(/^\/dir/) });
    expect(existsSync(path.join(target, 'dir/other'))).toBe(false);
    expect(existsSync(path.join(target, 'more/y'))).toBe(true);
  });
});

describe('a dry run', () => {
  test('says what would be done and does nothing', async () => {
    const target = folder.fresh();
    mkdirSync(path.join(target, 'extra'), { recursive: true });
    writeFileSync(path.join(target, 'a'), 'one');
    writeFileSync(path.join(target, 'dir'), 'in the way');
    const before = contentOf(target);
    const options = { dryRun: true, delete: true, verify: true };
    const result = await restoreTo(await made(small), target, options);
    expect(contentOf(target)).toEqual(before);
    expect(result.items).toEqual([
      'deleted /extra/',
      'restored /dir/',
      'restored /dir/b',
      'restored /dir/deep/',
      'restored /dir/deep/c',
      'restored /empty/',
      'restored /link',
      'unchanged /a',
    ]);
    expect(result).toMatchObject({ filesTotal: 6, filesSkipped: 1, filesDeleted: 1 });
    expect(result).toMatchObject({ bytesTotal: 8, bytesRestored: 8, filesVerified: 0 });
  });

  test('needs no target', async () => {
    const target = folder.fresh();
    const result = await restoreTo(await made(small), target, { dryRun: true });
    expect(existsSync(target)).toBe(false);
    expect(result).toMatchObject({ filesTotal: 7, bytesRestored: 11, problemCount: 0 });
  });
});
