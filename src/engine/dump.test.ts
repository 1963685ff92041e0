import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { describeWith } from '../../test/tools/peers.ts';
import { aclText } from './dump/acl-text.ts';
import { type ArchiveFormat, dump } from './dump.ts';
import { TreeFixture, type TreeSpec } from './tree-test-support.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'holdfast-dump-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const isTarThere = spawnSync('tar', ['--version']).status === 0;

async function dumped(
  fixture: TreeFixture,
  root: Uint8Array,
  what: { readonly path: string; readonly format?: ArchiveFormat },
): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  const { format = 'tar' } = what;
  const request = {
    root,
    path: Buffer.from(what.path),
    format,
    write: (part: Uint8Array) => void parts.push(part),
  };
  await dump(fixture.indexed, request, fixture.context);
  return Buffer.concat(parts);
}

const long = 'a-rather-long-name-'.repeat(8);

const spec: TreeSpec = {
  folder: {
    file: {
      type: 'file',
      mode: 0o4640 & 0o777,
      uid: 3_000_000,
      gid: 12,
      user: 'anna',
      group: 'staff',
    },
    text: 'some text',
    empty: '',
    [long]: 'long',
    link: { type: 'symlink', linkTarget: Buffer.from(long) },
    pipe: { type: 'fifo' },
    null: { type: 'chardev', device: 0x103 },
    socket: { type: 'socket' },
    attributes: {
      type: 'file',
      extendedAttributes: [{ name: Buffer.from('user.note'), value: Buffer.from('a\nb=c') }],
      mtime: { seconds: -100, nanoseconds: 0 },
    },
  },
};

describe('a file', () => {
  test('is written whole, blob by blob', async () => {
    const fixture = await TreeFixture.create();
    const pieces = ['one ', 'two ', 'three'];
    const ids = await Promise.all(pieces.map((piece) => fixture.blob('data', Buffer.from(piece))));
    const content = Buffer.concat([...ids, ...ids]);
    const root = await fixture.put({ f: { type: 'file', content, sizeBytes: 26 } });
    expect((await dumped(fixture, root, { path: '/f' })).toString()).toBe(
      'one two threeone two three',
    );
  });

  test('whose data is lost is an error', async () => {
    const fixture = await TreeFixture.create();
    const root = await fixture.put({ f: 'content' });
    fixture.lose('data', await fixture.blob('data', Buffer.from('content')));
    await expect(dumped(fixture, root, { path: 'f' })).rejects.toMatchObject({
      code: 'BLOB_DAMAGED',
    });
  });
});

describe.skipIf(!isTarThere)('a tar archive', () => {
  test('is read by tar, with every attribute', async () => {
    const fixture = await TreeFixture.create();
    const archive = await dumped(fixture, await fixture.put(spec), { path: '/' });
    expect(archive.byteLength % 512).toBe(0);
    const listed = spawnSync('tar', ['--full-time', '--xattrs', '--utc', '-tvvf', '-'], {
      input: archive,
    });
    expect(listed.stderr.toString()).toBe('');
    const lines = listed.stdout
      .toString()
      .split('\n')
      .map((line) => line.replace(/ +/g, ' '));
    expect(lines).toMatchInlineSnapshot(`
      [
        "drwxr-xr-x 0/0 0 2001-09-09 01:46:40.000000005 folder/",
        "-rw-r--r-- 0/0 4 2001-09-09 01:46:40.000000005 folder/a-rather-long-name-a-rather-long-name-a-rather-long-name-a-rather-long-name-a-rather-long-name-a-rather-long-name-a-rather-long-name-a-rather-long-name-",
        "-rw-r--r--* 0/0 0 1969-12-31 23:58:20 folder/attributes",
        "-rw-r--r-- 0/0 0 2001-09-09 01:46:40.000000005 folder/empty",
        "-rw-r----- anna/staff 0 2001-09-09 01:46:40.000000005 folder/file",
        "lrw-r--r-- 0/0 0 2001-09-09 01:46:40.000000005 folder/link -> a-rather-long-name-a-rather-long-name-a-rather-long-name-a-rather-long-name-a-rather-long-name-a-rather-long-name-a-rather-long-name-a-rather-long-name-",
        "crw-r--r-- 0/0 1,3 2001-09-09 01:46:40.000000005 folder/null",
        "prw-r--r-- 0/0 0 2001-09-09 01:46:40.000000005 folder/pipe",
        "-rw-r--r-- 0/0 9 2001-09-09 01:46:40.000000005 folder/text",
        "",
      ]
    `);
    expect(fixture.notes).toEqual(['folder/socket: left out, a tar archive cannot hold a socket']);
  });

  test('keeps names that are not UTF-8', async () => {
    const fixture = await TreeFixture.create();
    const name = Buffer.concat([Buffer.alloc(120, 'n'), Buffer.from([0xff])]);
    const { TreeEncoder } = await import('../repository/tree.ts');
    const { utcZone } = await import('../repository/time-format.ts');
    const plain = [...(await fixture.indexed.loadTree(await fixture.put({ x: 'x' })))][0];
    const encoder = new TreeEncoder(utcZone);
    if (plain) encoder.add({ ...plain, name });
    const archive = await dumped(fixture, await fixture.blob('tree', encoder.finish()), {
      path: '/',
    });
    const listed = spawnSync('tar', ['--quoting-style=literal', '--no-wildcards', '-tf', '-'], {
      input: archive,
      env: { ...process.env, LC_ALL: 'C' },
    });
    expect(listed.stdout.subarray(0, -1)).toEqual(name);
  });
});

describeWith(['python3'], 'a zip archive', () => {
  test('is read by others, and its checksums are right', async () => {
    const fixture = await TreeFixture.create();
    const root = await fixture.put({ ...spec, 'back\\slash': 'x', big: 'z'.repeat(100_000) });
    writeFileSync(
      path.join(folder, 'test.zip'),
      await dumped(fixture, root, { path: '/', format: 'zip' }),
    );
    const script = [
      'import sys, zipfile, json',
      'z = zipfile.ZipFile(sys.argv[1])',
      'assert z.testzip() is None',
      'print(json.dumps([[i.filename, i.file_size] for i in z.infolist()]))',
    ].join('\n');
    const run = spawnSync('python3', ['-c', script, path.join(folder, 'test.zip')], {
      encoding: 'utf8',
    });
    expect(run.stderr).toBe('');
    const entries = JSON.parse(run.stdout) as [string, number][];
    expect(entries.map(([name, size]) => `${name} ${size}`)).toEqual([
      'back_slash 1',
      'big 100000',
      'folder/ 0',
      `folder/${long} 4`,
      'folder/attributes 0',
      'folder/empty 0',
      'folder/file 0',
      `folder/link ${long.length}`,
      'folder/text 9',
    ]);
    expect(fixture.notes).toHaveLength(3);
  });
});

test('a file whose data is known to be missing is told and left out of archives', async () => {
  const fixture = await TreeFixture.create();
  const root = await fixture.put({
    bad: { type: 'file', content: new Uint8Array(32), sizeBytes: 5 },
    good: 'fine',
  });
  const archive = await dumped(fixture, root, { path: '/' });
  expect(fixture.problems.map(({ item }) => item)).toEqual(['bad']);
  expect(archive.includes('good')).toBe(true);
});

test('an ACL becomes the text that tar knows', () => {
  const entries = [
    [0x01, 7, 0xffff_ffff],
    [0x02, 6, 1000],
    [0x04, 5, 0xffff_ffff],
    [0x10, 7, 0xffff_ffff],
    [0x20, 0, 0xffff_ffff],
  ] as const;
  const value = Buffer.alloc(4 + 8 * entries.length);
  value.writeUInt32LE(2, 0);
  for (const [i, [tag, permissions, id]] of entries.entries()) {
    value.writeUInt16LE(tag, 4 + 8 * i);
    value.writeUInt16LE(permissions, 6 + 8 * i);
    value.writeUInt32LE(id, 8 + 8 * i);
  }
  expect(aclText(value)).toBe('user::rwx,user:1000:rw-,group::r-x,mask::rwx,other::---');
  expect(aclText(value.subarray(0, 7))).toBeUndefined();
  expect(aclText(Buffer.alloc(4))).toBeUndefined();
});
