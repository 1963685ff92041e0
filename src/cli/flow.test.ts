import {
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
  existsSync,
  linkSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { once } from 'node:events';
import { createServer } from 'node:net';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { program } from '../../test/tools/program.ts';
import { jsonLines, password, TestPlace } from './holdfast-test-support.ts';

const place = TestPlace.create(new Set());
const source = place.at('source');

interface SnapshotJson {
  readonly id: string;
  readonly short_id: string;
  readonly tree: string;
  readonly tags?: readonly string[];
  readonly original?: string;
}

async function snapshots(...args: string[]): Promise<SnapshotJson[]> {
  const [list] = await place.json(['snapshots', ...args]);
  return list as SnapshotJson[];
}

let first: SnapshotJson;
let second: SnapshotJson;

beforeAll(async () => {
  await place.createRepository();
  mkdirSync(path.join(source, 'sub', 'deep'), { recursive: true });
  writeFileSync(path.join(source, 'a.txt'), 'hello\n');
  linkSync(path.join(source, 'a.txt'), path.join(source, 'b-link'));
  writeFileSync(path.join(source, 'empty'), '');
  writeFileSync(path.join(source, 'sub', 'large.bin'), Buffer.alloc(3_000_000, 'holdfast '));
  symlinkSync('a.txt', path.join(source, 'link'));
  utimesSync(path.join(source, 'sub', 'large.bin'), 1e9, 1e9);
  await place.must(['backup', 'source', '--tag', 'one,two', '--host', 'h1']);
  writeFileSync(path.join(source, 'a.txt'), 'hello again\n');
  writeFileSync(path.join(source, 'new<file>'), 'n');
  await place.must(['backup', 'source', '--host', 'h2']);
  [first, second] = (await snapshots()) as [SnapshotJson, SnapshotJson];
});
afterAll(() => place.remove());

describe('backup', () => {
  test('of something unchanged adds nothing', async () => {
    const before = readdirSync(path.join(place.repository, 'data'), { recursive: true }).length;
    const lines = await place.json(['backup', 'source', '--host', 'h2', '--dry-run']);
    const summary = lines.at(-1);
    expect(summary).toMatchObject({
      message_type: 'summary',
      files_new: 0,
      files_changed: 0,
      data_added: 0,
      dry_run: true,
    });
    expect(Object.keys(summary as object)).toEqual([
      'message_type',
      'files_new',
      'files_changed',
      'files_unmodified',
      'dirs_new',
      'dirs_changed',
      'dirs_unmodified',
      'data_blobs',
      'tree_blobs',
      'data_added',
      'data_added_packed',
      'total_files_processed',
      'total_bytes_processed',
      'total_duration',
      'backup_start',
      'backup_end',
      'snapshot_id',
      'dry_run',
    ]);
    expect(await place.must(['backup', 'source', '--host', 'h2', '--skip-if-unchanged'])).toContain(
      'skipped creating snapshot',
    );
    const after = readdirSync(path.join(place.repository, 'data'), { recursive: true }).length;
    expect(after).toBe(before);
    expect(await snapshots()).toHaveLength(2);
  });

  test('names what is missing and exits with 3', async () => {
    const run = await place.run([
      'backup',
      'source',
      '/no/such/place',
      '--host',
      'partial',
      '--json',
    ]);
    expect(run.exitCode).toBe(3);
    const errors = jsonLines(run.errors);
    expect(errors[0]).toMatchObject({
      message_type: 'error',
      during: 'scan',
      item: '/no/such/place',
    });
    expect(errors.at(-1)).toEqual({
      message_type: 'exit_error',
      code: 3,
      message: 'Warning: at least one source file could not be read',
    });
    const [partial] = await snapshots('--host', 'partial');
    expect(partial).toBeDefined();
  });

  test('of nothing makes no snapshot', async () => {
    const count = (await snapshots()).length;
    for (const args of [
      ['backup'],
      ['backup', '/no/such/place'],
      ['backup', '--stdin-from-command', '--', 'false'],
      ['backup', '--stdin-from-command', '--', 'no-such-program'],
      ['backup', '--stdin', 'source'],
      ['backup', 'source', '--parent', 'ffffffff'],
      ['backup', 'source', '--exclude', '[a'],
      ['backup', 'source', '--group-by', 'size'],
      ['backup', 'source', '--time', 'soon'],
    ]) {
      const { exitCode, errors } = await place.run(args);
      expect(exitCode, args.join(' ')).toBe(1);
      expect(errors).toMatch(/^Fatal: /m);
    }
    expect(await snapshots()).toHaveLength(count);
  });

  test('of a stream without a byte makes no clean snapshot', async () => {
    for (const args of [['--stdin'], ['--stdin-from-command', '--', 'true']]) {
      const { exitCode, errors } = await place.run(['backup', '--host', 'nothing', ...args]);
      expect(exitCode).toBe(3);
      expect(errors).toContain('stdin: it gave no data at all');
    }
  });

  test('takes names from files and standard input', async () => {
    writeFileSync(place.at('raw'), `${source}/a.txt\0${source}/empty\0`);
    await place.must(['backup', '--files-from-raw', 'raw', '--host', 'lists']);
    const input = `# comment\n${source}/*.txt\n`;
    await place.must(['backup', '--files-from', '-', '--host', 'lists'], { input });
    const listed = await place.must(['ls', 'latest', '--host', 'lists']);
    expect(listed).toContain(`${source}/a.txt`);
    expect(listed).not.toContain('empty');
    const noPassword = { input, variables: { RESTIC_PASSWORD: '' } };
    const { errors } = await place.run(['backup', '--files-from', '-'], noPassword);
    expect(errors).toContain('cannot come from standard input');
  });

  test('names lines of lists that stand for nothing and exits with 3', async () => {
    writeFileSync(place.at('list'), `${source}/a.txt\n/no/such/place\n/no/such/disk/*\n`);
    const args = ['backup', '--files-from', 'list', '--host', 'gaps', '--json'];
    const { exitCode, errors } = await place.run(args);
    expect(exitCode).toBe(3);
    expect(jsonLines(errors).slice(0, -1)).toEqual(
      [
        ['/no/such/disk/*', 'nothing matches this pattern (pattern: /no/such/disk/*)'],
        ['/no/such/place', 'a source does not exist (path: /no/such/place)'],
      ].map(([item, message]) => ({
        message_type: 'error',
        error: { message },
        during: 'scan',
        item,
      })),
    );
    const listed = await place.must(['ls', 'latest', '--host', 'gaps']);
    expect(listed).toContain(`${source}/a.txt`);
  });

  test('of lists that stand for nothing makes no snapshot', async () => {
    for (const [input, reason] of [
      ['/no/such/*\n', 'nothing matches this pattern (pattern: /no/such/*)'],
      ['/no/such\n', 'a source does not exist (path: /no/such)'],
      ['', 'nothing to back up'],
    ] as const) {
      const args = ['backup', '--files-from', '-', '--host', 'none'];
      const { exitCode, errors } = await place.run(args, { input });
      expect([exitCode, errors.split('\n')[0]]).toEqual([1, `Fatal: ${reason}`]);
    }
    expect(await snapshots('--host', 'none')).toEqual([]);
  });

  test('tells once what it leaves out, also where the source is counted beside it', async () => {
    const folder = place.at('with-socket');
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'file'), '');
    const server = createServer().listen(path.join(folder, 'socket'));
    await once(server, 'listening');
    const { errors } = await place.run(['backup', '-v', folder, '--host', 'socket']);
    server.close();
    expect(errors).toBe(`${folder}/socket is a socket: left out\n`);
  });

  test('takes a name that is not UTF-8 from the command line, as others do', async () => {
    const folder = place.at('bytes');
    mkdirSync(folder);
    writeFileSync(Buffer.concat([Buffer.from(`${folder}/x-`), Buffer.from([0xff])]), 'bytes');
    const shell = (script: string): string => {
      const run = spawnSync('sh', ['-c', script, process.execPath, program], {
        cwd: folder,
        env: {
          PATH: process.env['PATH'],
          HOME: place.folder,
          RESTIC_REPOSITORY: place.repository,
          RESTIC_PASSWORD: password,
        },
      });
      expect(run.stderr.toString()).toBe('');
      return run.stdout.toString('latin1');
    };
    shell('"$0" "$1" backup --host bytes x-*');
    expect(shell('"$0" "$1" find --host bytes x-*')).toContain('\n/x-\u00ff\n');
    const listed = shell('"$0" "$1" ls --host bytes -q latest "$(printf \'/x-\\377\')"');
    expect(listed).toBe('/x-\u00ff\n');
    expect(shell('cd / && "$0" "$1" dump --host bytes latest "$(printf \'x-\\377\')"')).toBe(
      'bytes',
    );
  });
});

describe('ls', () => {
  test('lists, sorts and limits', async () => {
    const lines = (await place.must(['ls', first.id])).trimEnd().split('\n');
    expect(lines[0]).toMatch(
      /^snapshot [0-9a-f]{8} of \[.*source\] at .* by .*@h1 filtered by \[\]:$/,
    );
    expect(lines.slice(1)).toEqual([
      '/source',
      '/source/a.txt',
      '/source/b-link',
      '/source/empty',
      '/source/link',
      '/source/sub',
      '/source/sub/deep',
      '/source/sub/large.bin',
    ]);
    expect(await place.must(['ls', '-q', `${first.short_id}:source/sub`])).toBe(
      '/deep\n/large.bin\n',
    );
    const bySize = await place.must([
      'ls',
      '-q',
      'latest',
      '--host',
      'h2',
      '--sort',
      'size',
      '--reverse',
    ]);
    expect(bySize.split('\n')[0]).toBe('/source/sub/large.bin');
    expect(await place.must(['ls', '-ql', first.id, '/source/sub'])).toMatch(
      /^drwx\S+ +\d+ +\d+ +0 \d{4}-\d\d-\d\d \d\d:\d\d:\d\d \/source\/sub$/m,
    );
  });

  test('has the JSON of restic', async () => {
    const [head, folder, file] = await place.json(['ls', first.id]);
    expect(head).toMatchObject({ message_type: 'snapshot', struct_type: 'snapshot', id: first.id });
    expect(folder).toMatchObject({ name: 'source', type: 'dir', path: '/source' });
    expect(Object.keys(file as object)).toEqual(
      [
        'name',
        'type',
        'path',
        'uid',
        'gid',
        'size',
        'mode',
        'permissions',
        'mtime',
        'atime',
        'ctime',
        'inode',
        'message_type',
        'struct_type',
      ].filter((key) => (file as Record<string, unknown>)[key] !== undefined),
    );
  });

  test('exports for ncdu', async () => {
    const [major, minor, , root] = JSON.parse(
      await place.must(['ls', '--ncdu', first.id]),
    ) as unknown[];
    expect([major, minor]).toEqual([1, 2]);
    expect(JSON.stringify(root)).toContain('"name":"large.bin","asize":3000000,"dsize":3000320');
  });
});

describe('find', () => {
  test('looks into all snapshots, newest first', async () => {
    const [found] = await place.json(['find', 'a.txt', '--host', 'h1', '--host', 'h2']);
    expect(found).toMatchObject([
      { hits: 1, snapshot: second.id, matches: [{ path: '/source/a.txt', size: 12 }] },
      { hits: 1, snapshot: first.id, matches: [{ path: '/source/a.txt', size: 6 }] },
    ]);
    expect(await place.json(['find', 'nothing.here'])).toEqual([[]]);
    expect(await place.must(['find', '-i', '*.TXT', '-s', first.id])).toContain('/source/a.txt');
  });

  test('can be limited by time', async () => {
    const old = ['find', 'large.bin', '--newest', '2002-01-01', '-s', first.id];
    expect(await place.must(old)).toContain('large.bin');
    expect(await place.must(['find', 'large.bin', '--oldest', '2002-01-01', '-s', first.id])).toBe(
      '',
    );
  });

  test('finds blobs, trees and what a pack holds', async () => {
    const tree = jsonLines(await place.must(['cat', 'tree', `${first.id}:source`]))[0];
    const { nodes } = tree as {
      nodes: { name: string; content: string[] | null; subtree?: string }[];
    };
    const blob = nodes.find(({ name }) => name === 'a.txt')?.content?.[0] ?? '';
    const [found] = await place.json(['find', '--blob', blob]);
    expect(found).toMatchObject([
      { object_type: 'blob', id: blob, path: '/source/a.txt', snapshot: first.id },
      { object_type: 'blob', id: blob, path: '/source/b-link', snapshot: first.id },
    ]);
    const subtree = nodes.find(({ name }) => name === 'sub')?.subtree ?? '';
    const text = await place.must([
      'find',
      '--tree',
      subtree.slice(0, 10),
      '--show-pack-id',
      '-s',
      first.id,
    ]);
    expect(text).toMatch(/^Found tree [0-9a-f]{64}\n \.\.\. path \/source\/sub\n/);
    const pack = /belongs to pack ([0-9a-f]{64})/.exec(text)?.[1] ?? '';
    expect(await place.must(['find', '--pack', pack])).toContain(subtree);
    const missing = await place.run(['find', '--pack', 'ffffffff']);
    expect(missing).toMatchObject({ exitCode: 1, output: '' });
  });
});

test('diff tells what changed', async () => {
  const text = await place.must(['diff', first.id, second.id]);
  expect(text).toContain('M    /source/a.txt\n');
  expect(text).toContain('M    /source/b-link\n');
  expect(text).toContain('+    /source/new<file>\n');
  const lines = await place.json(['diff', first.short_id, second.short_id]);
  expect(lines).toContainEqual({
    message_type: 'change',
    path: '/source/new<file>',
    modifier: '+',
  });
  expect(lines.at(-1)).toMatchObject({
    message_type: 'statistics',
    source_snapshot: first.short_id,
    changed_files: 2,
    added: { files: 1, dirs: 0, others: 0, data_blobs: 2 },
    removed: { files: 0, data_blobs: 1 },
  });
  const same = await place.json(['diff', `${first.id}:source/sub`, `${second.id}:source/sub`]);
  expect(same).toHaveLength(1);
});

describe('dump', () => {
  test('gives the content of a file', async () => {
    expect(await place.must(['dump', first.id, '/source/a.txt'])).toBe('hello\n');
    expect(await place.must(['dump', second.id, 'source/a.txt'])).toBe('hello again\n');
    await place.must(['dump', first.id, '/source/sub/large.bin', '--target', place.at('large')]);
    const original = readFileSync(path.join(source, 'sub', 'large.bin'));
    expect(readFileSync(place.at('large')).equals(original)).toBe(true);
  });

  test.each([
    ['/source/none', 'path "/source/none" not found in snapshot'],
    ['/source/link', '"/source/link" should be a file, but is a "symlink"'],
    ['/source/a.txt/x', '"/source/a.txt" should be a dir, but is a "file"'],
  ])('refuses %s', async (file, reason) => {
    const { exitCode, errors } = await place.run(['dump', first.id, file]);
    expect(exitCode).toBe(1);
    expect(errors.split('\n')[0]).toBe(`Fatal: cannot dump file: ${reason}`);
  });
});

test('stats counts', async () => {
  const [restoreSize] = await place.json(['stats', first.id]);
  expect(restoreSize).toEqual({ total_size: 3_000_006, total_file_count: 8, snapshots_count: 1 });
  const [contents] = await place.json([
    'stats',
    '--mode',
    'files-by-contents',
    first.id,
    second.id,
  ]);
  expect(contents).toEqual({ total_size: 3_000_019, total_file_count: 5, snapshots_count: 2 });
  const [raw] = await place.json(['stats', '--mode', 'raw-data', first.id]);
  // A few bytes that do not shrink are stored plain.
  const progress = expect.closeTo(100, 1) as unknown;
  expect(raw).toMatchObject({ compression_progress: progress, snapshots_count: 1 });
});

test('tag stores a snapshot anew and remembers the first id', async () => {
  const [changed, summary] = await place.json([
    'tag',
    '--add',
    'three',
    '--remove',
    'one',
    first.id,
  ]);
  expect(changed).toMatchObject({ message_type: 'changed', old_snapshot_id: first.id });
  expect(summary).toEqual({ message_type: 'summary', changed_snapshots: 1 });
  const [retagged] = await snapshots('--tag', 'three');
  expect(retagged).toMatchObject({ tags: ['three', 'two'], original: first.id, tree: first.tree });
  await place.must(['tag', '--set', 'one,two', '--tag', 'two,three']);
  const [again] = await snapshots('--tag', 'one');
  expect(again).toMatchObject({ tags: ['one', 'two'], original: first.id });
  if (again) first = again;
  expect(await place.must(['tag', '--add', 'x', 'ffff'])).toContain('no snapshots were modified');
});

describe('restore', () => {
  test('brings everything back', async () => {
    const target = place.at('restored');
    const lines = await place.json(['restore', second.id, '--target', target, '--verify']);
    const summary = lines.at(-1);
    expect(summary).toMatchObject({ message_type: 'summary', total_files: 9, files_restored: 9 });
    expect(readFileSync(path.join(target, 'source', 'a.txt'), 'utf8')).toBe('hello again\n');
    expect(statSync(path.join(target, 'source', 'sub', 'large.bin')).mtimeMs).toBe(1e12);
    expect(statSync(path.join(target, 'source', 'b-link')).nlink).toBe(2);
  });

  test('brings back what is chosen', async () => {
    const target = place.at('chosen');
    await place.must([
      'restore',
      `${second.id}:source`,
      '--target',
      target,
      '--include',
      '/sub',
      '--exclude-xattr',
      '*',
    ]);
    expect(readdirSync(target)).toEqual(['sub']);
    await place.must([
      'restore',
      `${second.id}:source`,
      '-t',
      target,
      '--exclude',
      'sub',
      '--iexclude',
      '*.TXT',
    ]);
    expect(readdirSync(target).toSorted()).toEqual(['b-link', 'empty', 'link', 'new<file>', 'sub']);
  });

  test('of a dry run writes nothing', async () => {
    const run = await place.must(['restore', second.id, '-t', place.at('dry'), '--dry-run', '-vv']);
    expect(run).toContain('restored  /source/a.txt with size 12 B');
    expect(existsSync(place.at('dry'))).toBe(false);
  });

  test.each([
    [['restore', 'latest'], /specify a directory/],
    [['restore', '--target', 'x'], /no snapshot ID/],
    [['restore', 'a', 'b', '--target', 'x'], /more than one snapshot/],
    [['restore', 'latest', '-t', 'x', '-i', 'a', '-e', 'b'], /mutually exclusive/],
    [['restore', 'latest', '-t', '/', '--delete'], /must be combined/],
    [['restore', 'latest', '-t', 'x', '--dry-run', '--verify'], /mutually exclusive/],
    [['restore', 'latest:none', '-t', 'x'], /no such folder|not in the snapshot/],
    [['restore', 'ffff', '-t', 'x'], /no such snapshot/],
  ])('refuses %j', async (args, reason) => {
    const { exitCode, errors } = await place.run(args);
    expect(exitCode).toBe(1);
    expect(errors).toMatch(reason);
  });
});

describe('check', () => {
  test('finds nothing wrong', async () => {
    const [summary] = await place.json(['check', '--read-data']);
    expect(summary).toEqual({
      message_type: 'summary',
      num_errors: 0,
      broken_packs: null,
      suggest_repair_index: false,
      suggest_prune: false,
    });
    expect(await place.must(['check', '--read-data-subset', '1/3'])).toContain(
      'no errors were found',
    );
    for (const subset of ['0/3', '4/3', 'x', '0%', '101%']) {
      const { exitCode, errors } = await place.run(['check', '--read-data-subset', subset]);
      expect(exitCode, subset).toBe(1);
      expect(errors).toContain('read-data-subset');
    }
  });
});

test('cat and list show what is stored', async () => {
  const packs = (await place.must(['list', 'packs'])).trimEnd().split('\n');
  expect(packs.length).toBeGreaterThan(1);
  expect(await place.must(['cat', 'pack', packs[0] ?? ''])).not.toBe('');
  expect(JSON.parse(await place.must(['cat', 'snapshot', second.id]))).toMatchObject({
    tree: second.tree,
  });
  expect(Object.keys(JSON.parse(await place.must(['cat', 'masterkey'])) as object)).toEqual([
    'mac',
    'encrypt',
  ]);
  const blobs = (await place.must(['list', 'blobs'])).trimEnd().split('\n');
  expect(blobs).toContain(`tree ${second.tree}`);
  expect(await place.must(['cat', 'blob', second.tree])).toMatch(/^\{"nodes":\[/);
});

test('no command leaves a lock', () => {
  expect(readdirSync(path.join(place.repository, 'locks'))).toEqual([]);
});
