/** The same commands on the same repository, by this program and by the official restic. */
import { spawnSync } from 'node:child_process';
import { linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { hurried as environment } from '../../test/tools/engine.ts';
import { runCommand } from '../../test/tools/in-process.ts';
import { jsonLines, password, TestPlace } from './holdfast-test-support.ts';

const isThere = spawnSync('restic', ['version']).status === 0;
const isRequired = process.env['HOLDFAST_TEST_REQUIRE'] !== undefined;

test.runIf(isRequired)('restic is there', () => expect(isThere).toBe(true));

const place = TestPlace.create();
/** Ids of the snapshots, oldest first. */
let ids: string[] = [];
let packId = '';
let blobId = '';

/** All that run here have the time zone of this process. */
const zone: Readonly<Record<string, string>> = process.env['TZ'] ? { TZ: process.env['TZ'] } : {};

interface Ran {
  readonly exitCode: number | null;
  readonly output: string;
}

function restic(args: readonly string[]): Ran {
  const { status, stdout } = spawnSync('restic', [...args], {
    cwd: place.folder,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    env: {
      PATH: process.env['PATH'],
      HOME: place.folder,
      ...zone,
      RESTIC_REPOSITORY: place.repository,
      RESTIC_PASSWORD: password,
      RESTIC_CACHE_DIR: place.at('restic-cache'),
    },
  });
  return { exitCode: status, output: stdout };
}

async function holdfast(args: readonly string[]): Promise<Ran> {
  const { exitCode, output } = await place.run(args, { variables: zone });
  return { exitCode, output };
}

/** In this process and without waiting for others: of what only reads, the output is the same, and there is much of it. */
async function holdfastHere(args: readonly string[]): Promise<Ran> {
  const variables = {
    HOME: place.folder,
    RESTIC_REPOSITORY: place.repository,
    RESTIC_PASSWORD: password,
    RESTIC_CACHE_DIR: place.at('cache'),
  };
  const { exitCode, output } = await runCommand(args, {
    variables,
    environment,
    outputSizeBytesMax: 1 << 26,
  });
  return { exitCode, output };
}

/** Words such as `$0` and `$pack` stand for ids that are only known later. */
function fill(line: string): string[] {
  return line.split(' ').map((word) =>
    word
      .replace(/^\$(\d)/, (_, i: string) => (ids[Number(i)] ?? '').slice(0, 10))
      .replace('$pack', packId)
      .replace('$blob', blobId),
  );
}

function sortLines({ exitCode, output }: Ran): Ran {
  return { exitCode, output: output.split('\n').toSorted().join('\n') };
}

/** What a backup says of single items and of itself, sorted. */
function backupLines({ exitCode, output }: Ran): string[] {
  const lines = jsonLines(output) as Record<string, unknown>[];
  const told = lines.filter((line) => line['message_type'] !== 'status');
  return [String(exitCode), ...told.map((line) => JSON.stringify(line, withoutChance)).toSorted()];
}

/** Keeps the type of what differs from run to run, and whether there is anything. */
function withoutChance(key: string, value: unknown): unknown {
  const isByChance =
    /^(duration|total_duration|backup_start|backup_end|snapshot_id)$|in_repo|packed/;
  return isByChance.test(key) ? `${typeof value} ${value !== 0}` : value;
}

describe.skipIf(!isThere)('the output is that of restic', () => {
  beforeAll(async () => {
    await place.createRepository();
    const source = place.at('source');
    mkdirSync(path.join(source, 'sub', 'deep'), { recursive: true });
    mkdirSync(path.join(source, 'sub', 'other'));
    writeFileSync(path.join(source, 'a.txt'), 'hello\n', { mode: 0o4755 });
    linkSync(path.join(source, 'a.txt'), path.join(source, 'hard'));
    writeFileSync(path.join(source, 'sub', 'large.bin'), Buffer.alloc(2_500_000, 'data '));
    writeFileSync(path.join(source, 'sub', 'odd <&> "name"\u001b[31m é.txt'), 'odd');
    symlinkSync('a.txt', path.join(source, 'link'));
    spawnSync('mkfifo', [path.join(source, 'fifo')]);
    restic(['backup', 'source', '--host', 'h1', '--tag', 'b,a', '--exclude', '*.none']);
    writeFileSync(path.join(source, 'a.txt'), 'hello again\n');
    writeFileSync(path.join(source, 'sub', 'deep', 'new'), 'new');
    restic(['backup', 'source', '--host', 'h1']);
    await place.must(['backup', 'source', '--host', 'h2', '--tag', 'c']);
    const list = JSON.parse(restic(['snapshots', '--json']).output) as { id: string }[];
    ids = list.map(({ id }) => id);
    packId = restic(['list', 'packs']).output.split('\n')[0] ?? '';
    const blobs = restic(['list', 'blobs']).output.split('\n');
    blobId = blobs.find((line) => line.startsWith('data '))?.slice(5) ?? '';
  });
  afterAll(() => place.remove());

  test.each([
    'snapshots',
    'snapshots --json',
    'snapshots -c',
    'snapshots --latest 1',
    'snapshots --json --host h1 --tag a,b',
    'snapshots --tag a --tag c',
    'snapshots --path /none',
    'snapshots nope',
    'ls latest',
    'ls -l $0',
    'ls --json $0',
    'ls --ncdu $0',
    'ls $0 /source/sub',
    'ls --recursive $0 /source',
    'ls $0:source/sub',
    'ls -l $0 --human-readable --sort size',
    'ls $0 --sort extension --reverse',
    'ls $0:nope',
    'ls $0 relative',
    'find a.txt',
    'find -l A* -i',
    'find --json sub/** link',
    'find --reverse /source/*/deep',
    'find nothing --json',
    'find --oldest 2001-01-01 a.txt',
    'find --newest 2001-01-01 a.txt',
    'find --blob $blob',
    'find --json --blob $blob',
    'find --pack $pack',
    'find --json --pack $pack',
    'diff $0 $1',
    'diff --json $0 $1',
    'diff --metadata $0 $1',
    'diff $1:source/sub $0:source/sub',
    'diff $0',
    'dump $0 /source/a.txt',
    'dump $1 source/sub/large.bin',
    'dump $0 /source/nope',
    'cat config',
    'cat masterkey',
    'cat snapshot $0',
    'cat tree $0:source/sub',
    'cat blob $blob',
    'stats --json',
    'stats --json --mode files-by-contents',
    'stats --json --mode blobs-per-file',
    'stats --json --mode raw-data',
    'stats --json --mode raw-data $0',
    'snapshots --group-by host,tags --json --tag b',
    'snapshots --group-by host,tags --json --host h2',
    'forget --keep-last 1 --dry-run --host h1',
    'forget --keep-daily 3 --keep-tag a,b --dry-run --group-by tags --host h2 -v',
    'forget --keep-within 1y2m3d4h --keep-hourly unlimited --dry-run --compact --host h1',
    'forget --keep-last 1 --dry-run --json --host h1',
    'forget --unsafe-allow-remove-all --dry-run --host h1',
    'forget $0 nope --dry-run',
    'forget $0 --dry-run --json',
    'forget --keep-last 1 --host nope',
    'forget --keep-last 1 --host nope --json',
    'forget --keep-last 1 --quiet --dry-run',
    'forget --keep-tag nope --quiet',
    'forget --dry-run',
    'key list',
    'key list --json',
    'check --json',
    'list nope',
  ])('of %s', async (line) => {
    const args = fill(line);
    expect(await holdfastHere(args)).toEqual(restic(args));
  });

  test.each([
    'list blobs',
    'list packs',
    'list snapshots',
    'list index',
    'list keys',
    'list locks',
  ])('of %s, in any order', async (line) => {
    const args = line.split(' ');
    expect(sortLines(await holdfastHere(args))).toEqual(sortLines(restic(args)));
  });

  test('of backup --json -vv, but for times, ids and what compression makes of it', async () => {
    for (const name of ['ours', 'theirs']) await place.createRepository(place.at(name));
    // With more readers, which of two names of one file gets the content is a race within restic.
    const args = ['backup', 'source', '--json', '-vv', '--read-concurrency=1', '-r'];
    for (const how of [[], ['--force'], ['changed']]) {
      const flags = how.filter((flag) => flag.startsWith('--'));
      if (how.includes('changed')) {
        writeFileSync(place.at('source', 'sub', 'deep', 'new'), 'newer');
        rmSync(place.at('source', 'fifo'));
      }
      const ours = await holdfast([...args, place.at('ours'), ...flags]);
      const theirs = restic([...args, place.at('theirs'), ...flags]);
      expect(backupLines(ours)).toEqual(backupLines(theirs));
    }
  });

  test('restic accepts a repository whose tags were changed here', async () => {
    await place.must(['tag', '--add', 'x', '--remove', 'b', ids[0] ?? '']);
    const theirs = JSON.parse(restic(['snapshots', '--json', '--tag', 'x']).output) as object[];
    expect(theirs).toMatchObject([{ original: ids[0], tags: ['x', 'a'] }]);
    expect(restic(['check']).exitCode).toBe(0);
  });

  // restic leaves pipes out of some archives.
  test('archives hold what those of restic hold', async () => {
    for (const folder of ['/source', '/']) {
      await place.must(['dump', ids[1] ?? '', folder, '--target', place.at('ours.tar')]);
      restic(['dump', ids[1] ?? '', folder, '--target', place.at('theirs.tar')]);
      const names = (file: string): string[] =>
        spawnSync('tar', ['tf', place.at(file)], { encoding: 'utf8' })
          .stdout.split('\n')
          .filter((name) => !name.endsWith('fifo'));
      expect(names('ours.tar')).toEqual(names('theirs.tar'));
    }
  });
});
