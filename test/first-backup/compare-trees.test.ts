import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import {
  type Comparison,
  compareTrees,
  type CompareOptions,
} from '../../scripts/first-backup/compare-trees.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { setExtendedAttribute } from '../../src/platform/attributes.ts';
import { closeFile, openFile } from '../../src/platform/files.ts';
import { readStatus } from '../../src/platform/status.ts';

const later = { since: { seconds: 2 ** 40, nanoseconds: 0 }, asRoot: true };
const isRoot = process.getuid?.() === 0;
let folder: string;
let original: string;
let copy: string;

const compare = (options: CompareOptions = later): Promise<Comparison> =>
  compareTrees(Buffer.from(original), Buffer.from(copy), options);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-compare-'));
  [original, copy] = [join(folder, 'original'), join(folder, 'copy')];
  mkdirSync(join(original, 'sub/empty'), { recursive: true });
  writeFileSync(join(original, 'file'), 'x'.repeat(3 * 2 ** 20));
  writeFileSync(join(original, 'sub/small'), 'small');
  writeFileSync(Buffer.concat([Buffer.from(`${original}/`), Buffer.from([0xff, 0x0a])]), '');
  linkSync(join(original, 'file'), join(original, 'sub/linked'));
  symlinkSync('nowhere', join(original, 'link'));
  execFileSync('mkfifo', [join(original, 'fifo')]);
  execFileSync('touch', ['-d', '@1', join(original, 'sub/empty')]);
  execFileSync('cp', ['-a', original, copy]);
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('equal trees', () => {
  test('have no differences', async () => {
    expect(await compare()).toEqual({
      entryCount: 9,
      fileCount: 4,
      contentSizeBytes: 2 * 3 * 2 ** 20 + 5,
      differences: [],
      missing: [],
      changedMeanwhile: [],
      socketCount: 0,
    });
  });

  test('may be one file', async () => {
    [original, copy] = [join(original, 'file'), join(copy, 'file')];
    expect(await compare()).toMatchObject({ fileCount: 1, differences: [] });
  });
});

/** The time by the clock that files get theirs from. */
function sinceNow(): Timestamp {
  const file = join(folder, 'now');
  writeFileSync(file, '');
  return readStatus(Buffer.from(file)).ctime;
}

/** Runs a shell command in the copy. */
const inCopy = (command: string) => (): void => {
  execFileSync('sh', ['-c', command], { cwd: copy });
};

/** Gives the same attribute two values. */
function annotate(): void {
  for (const [root, value] of [
    [original, 'a'],
    [copy, 'b'],
  ] as const) {
    const file = openFile(Buffer.from(join(root, 'sub/small')));
    const note = { name: Buffer.from('user.note'), value: Buffer.from(value) };
    setExtendedAttribute(file, note);
    closeFile(file);
  }
}

describe('a difference', () => {
  const differences: readonly [what: string, make: () => void, expected: string][] = [
    [
      'a byte',
      inCopy('printf y | dd of=file bs=1 seek=2097153 conv=notrunc status=none'),
      '/file: content differs after byte 2097152',
    ],
    ['a size', inCopy('truncate -s 4 sub/small'), '/sub/small: size 5, copy 4'],
    ['a mode', inCopy('chmod 4640 sub/small'), '/sub/small: mode 644, copy 4640'],
    ['a missing file', inCopy('rm sub/small'), '/sub/small: is missing from the copy'],
    ['one more file', inCopy('touch sub/new'), '/sub/new: is not there any more'],
    ['a type', inCopy('rm fifo; touch fifo'), '/fifo: is a fifo, its copy a file'],
    ['a link', inCopy('ln -nfs elsewhere link'), '/link: the target of the link differs'],
    ['the time of a link', inCopy('touch -hd @1.5 link'), '/link: modified '],
    ['a nanosecond', inCopy('touch -d @1.000000001 sub/empty'), '/sub/empty: modified 1.000000000'],
    ['a hard link', inCopy('cp -p file new; mv new sub/linked'), '/sub/linked: hard links differ'],
    ['an attribute', annotate, '/sub/small: extended attributes differ'],
  ];

  test.each(differences)('in %s', async (_, make, expected) => {
    make();
    const { differences: different, missing } = await compare();
    expect(
      [...different, ...missing].filter((line) => line.startsWith(`${original}${expected}`)),
    ).toHaveLength(1);
  });

  test.runIf(isRoot)('in an owner, which matters to root only', async () => {
    inCopy('chown 1234:5678 sub/small')();
    const line = `${original}/sub/small: owner 0:0, copy 1234:5678`;
    expect((await compare()).differences).toEqual([line]);
    expect((await compare({ ...later, asRoot: false })).differences).toEqual([]);
  });

  test('of something that changed since is no fault', async () => {
    inCopy('chmod 600 sub/small')();
    const since = { seconds: 0, nanoseconds: 0 };
    const { differences: found, changedMeanwhile } = await compare({ ...later, since });
    expect([found, changedMeanwhile]).toEqual([[], [`${original}/sub/small`]]);
  });

  test.each([
    ['a file', 'rm sub/small', ['/sub', '/sub/small']],
    ['a folder with all in it', 'rm -r sub', ['', '/sub']],
    ['a link', 'rm link', ['', '/link']],
  ])('of %s that was deleted since is no fault', async (_, command, changed) => {
    const since = sinceNow();
    execFileSync('sh', ['-c', command], { cwd: original });
    const { differences: found, missing, changedMeanwhile } = await compare({ ...later, since });
    expect([...found, ...missing]).toEqual([]);
    expect(changedMeanwhile.toSorted()).toEqual(changed.map((name) => `${original}${name}`));
  });

  test('of a folder that is deleted while it is compared is no fault', async () => {
    const since = sinceNow();
    let isDeleted = false;
    const deleteOnce = (): void => {
      if (!isDeleted) rmSync(join(original, 'sub'), { recursive: true });
      isDeleted = true;
    };
    const result = await compare({ since, asRoot: true, onDirectory: deleteOnce });
    expect([...result.differences, ...result.missing]).toEqual([]);
    expect(result.changedMeanwhile).toEqual([`${original}/sub`]);
  });

  test('of something that was gone before is one', async () => {
    rmSync(join(original, 'sub/small'));
    const names = (await compare()).differences.map((line) => line.split(':')[0]);
    expect(names).toContain(`${original}/sub/small`);
  });

  test('of all that was to be compared is one', async () => {
    mkdirSync(join(folder, 'copies'));
    renameSync(original, join(folder, 'copies/original'));
    copy = join(folder, 'copies/original');
    const { differences: found, changedMeanwhile } = await compare({
      since: { seconds: 0, nanoseconds: 0 },
      asRoot: true,
    });
    expect(found).toEqual([`${original}: is not there any more`]);
    expect(changedMeanwhile).toEqual([]);
  });
});

function onDirectory(): never {
  throw new Error('stop');
}

test('a comparison can be stopped', async () => {
  await expect(compare({ ...later, onDirectory })).rejects.toThrow('stop');
});
