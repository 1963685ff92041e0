/** Trees against the official restic. Needs `restic` on the PATH; more is tried as root. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { afterAll, beforeAll, expect, test } from 'vitest';

import { utf8 } from '../base/bytes.ts';
import { systemEnvironment as environment } from '../base/environment.ts';
import { timestampFromNs } from '../base/timestamp.ts';
import { LocalBackend } from '../storage/local/local-backend.ts';
import { createRepository } from './repository.ts';
import { createLocalZone, formatTime, utcZone, type ZoneOffset } from './time-format.ts';
import { decodeTree, TreeEncoder, type TreeNode } from './tree.ts';
import { describeWith } from '../../test/tools/peers.ts';

const isRoot = process.getuid?.() === 0;

/** Names that went wrong in one backup program or another. */
const names: readonly Buffer[] = [
  'plain.txt',
  ' space ',
  '..foo',
  '-rf',
  'new\nline\r\t\u0007\b\v\f\u001b[31m\u0001\u007f',
  'q"uote\'`<&>\\ \\xff',
  '\u00e9',
  'e\u0301',
  '\u6f22\u5b57\u{1f600}',
  // Characters newer than Unicode 15.0, private, unassigned, invisible.
  '\u{1fae9}\u{1c89}\ue000\u{e0001}\u{10ffff}\u0378',
  '\u2028\u2029\ufeff\u00a0\u00ad\u200d\u202e\ufffd',
  '__proto__',
  '\uff5e',
  '\u{1f600}',
  'x'.repeat(255),
]
  .map((name) => Buffer.from(name))
  .concat(Buffer.from('ff00edA080c0aff4908080e282'.replace('00', '01'), 'hex'));

let folder: string;
let source: string;

function run(command: string, args: readonly string[]): Buffer {
  const { status, stdout, stderr } = spawnSync(command, args, {
    env: {
      ...process.env,
      RESTIC_REPOSITORY: path.join(folder, 'repository'),
      RESTIC_PASSWORD: 'secret',
      RESTIC_CACHE_DIR: path.join(folder, 'cache'),
    },
    cwd: source,
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr.toString()}`);
  return stdout;
}

function inside(name: string): string {
  return path.join(source, name);
}

function makeHazards(): void {
  for (const name of names) {
    writeFileSync(Buffer.concat([Buffer.from(`${source}/`), name]), name.subarray(0, 3));
  }
  writeFileSync(inside('empty'), '');
  writeFileSync(inside('no permissions'), 'x', { mode: 0 });
  writeFileSync(inside('large'), Buffer.alloc(20_000_000, createHash('sha512').digest()));
  writeFileSync(inside('hard'), 'x');
  linkSync(inside('hard'), inside('link to hard'));
  symlinkSync('plain.txt', inside('symlink'));
  symlinkSync(Buffer.from('2f22ff3c0a', 'hex'), inside('symlink of bytes'));
  run('mkfifo', [inside('fifo')]);
  mkdirSync(inside('folder/empty'), { recursive: true });
  chmodSync(inside('folder'), 0o2751);
  chmodSync(inside('folder/empty'), 0o1777);
  chmodSync(inside('hard'), 0o4755);
  const seconds = [0, 0.5, -1.25, -3_000_000_000, 1_710_000_000.123, 1_720_000_000, 16_000_000_000];
  for (const [i, time] of seconds.entries()) {
    writeFileSync(inside(`time ${i}`), '');
    utimesSync(inside(`time ${i}`), time, time);
  }
  if (isRoot) {
    run('mknod', [inside('zero'), 'c', '1', '5']);
    run('mknod', [inside('disk'), 'b', '259', '70000']);
    run('chown', ['12345:4294967294', inside('plain.txt')]);
  }
}

/** Makes a repository whose key costs little to derive: restic does it for every tree that is read below. */
async function createCheaply(place: string): Promise<void> {
  const backend = await LocalBackend.open(place, { environment });
  const owner = { hostname: 'host', username: 'user', scrypt: { N: 1024, r: 8, p: 1 } };
  await createRepository(backend, { ...owner, environment, password: utf8('secret') });
}

/** All trees of the newest snapshot as restic stores them, the root first. */
function loadTrees(): Map<string, Buffer> {
  const [snapshot] = JSON.parse(run('restic', ['snapshots', '--json', 'latest']).toString()) as [
    { tree: string },
  ];
  const trees = new Map<string, Buffer>();
  const queue = [snapshot.tree];
  for (const id of queue) {
    const bytes = run('restic', ['--no-lock', '-q', 'cat', 'blob', id]);
    trees.set(id, bytes);
    for (const { subtree } of decodeTree(bytes)) {
      if (subtree !== undefined) queue.push(Buffer.from(subtree).toString('hex'));
    }
  }
  return trees;
}

function nodesByName(trees: Iterable<Buffer>): Map<string, TreeNode> {
  const nodes = [...trees].flatMap((bytes) => decodeTree(bytes));
  return new Map(nodes.map((node) => [Buffer.from(node.name).toString('latin1'), node]));
}

describeWith(['restic'], 'trees of restic', () => {
  beforeAll(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'holdfast-tree-'));
    source = path.join(folder, 'source');
    mkdirSync(source);
    makeHazards();
    await createCheaply(path.join(folder, 'repository'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.each(['America/St_Johns', 'Europe/Berlin'])(
    'made in the zone %s have the same bytes when encoded again',
    (zoneName) => {
      const zoneBefore = process.env['TZ'];
      process.env['TZ'] = zoneName;
      try {
        run('restic', ['backup', '-q', '--with-atime', '.']);
        const zone = createLocalZone();
        const trees = loadTrees();
        for (const [id, bytes] of trees) {
          const encoder = new TreeEncoder(utcZone);
          for (const node of decodeTree(bytes)) encoder.add(node);
          const again = encoder.finish();
          expect(Buffer.from(again).toString()).toBe(bytes.toString());
          expect(createHash('sha256').update(again).digest('hex')).toBe(id);
        }
        expectTimes(nodesByName(trees.values()), zone);
      } finally {
        if (zoneBefore === undefined) delete process.env['TZ'];
        else process.env['TZ'] = zoneBefore;
      }
    },
  );

  test('have the names, targets and numbers of the file system', () => {
    run('restic', ['backup', '-q', '.']);
    const nodes = nodesByName(loadTrees().values());
    for (const name of names) {
      const node = nodes.get(name.toString('latin1'));
      const status = lstatSync(Buffer.concat([Buffer.from(`${source}/`), name]), { bigint: true });
      expect(BigInt(node?.inode ?? 0)).toBe(status.ino);
      expect(BigInt(node?.deviceId ?? 0)).toBe(status.dev);
      expect(node?.sizeBytes).toBe(Math.min(name.length, 3));
    }
    const target = nodes.get('symlink of bytes')?.linkTarget ?? [];
    expect(Buffer.from(target).toString('hex')).toBe('2f22ff3c0a');
    expect(nodes.get('hard')).toMatchObject({ links: 2, mode: 8389101 });
    if (isRoot) {
      expect(nodes.get('disk')).toMatchObject({ type: 'dev', mode: 67109284 });
      expect(BigInt(nodes.get('disk')?.device ?? 0)).toBe(
        lstatSync(path.join(source, 'disk'), { bigint: true }).rdev,
      );
    }
  });
});

/** Our own formatting of the times that the file system has equals restic's. */
function expectTimes(nodes: ReadonlyMap<string, TreeNode>, zone: ZoneOffset): void {
  for (let i = 0; i < 7; i++) {
    const stored = nodes.get(`time ${i}`)?.mtime;
    const status = lstatSync(path.join(source, `time ${i}`), { bigint: true });
    const time = timestampFromNs(status.mtimeNs);
    expect(formatTime(time, zone)).toBe(stored && formatTime(stored, utcZone));
  }
}
