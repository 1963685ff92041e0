import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';

import { describeWith } from '../tools/peers.ts';
import { withRepository } from '../tools/engine.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { CrashBed, newPassword } from './crash-bed.ts';
import { changingCalls, type Command, tracedCalls } from './killed-run.ts';
import { type NameChange, SyncLedger } from './sync-ledger.ts';

const scratch = scratchFolder('sync-order');
const bed = new CrashBed(scratch);
const passwordFile = scratch.fresh('password');
const calls = `${changingCalls},openat`;
const newKey = ['--new-password-file', passwordFile];

beforeAll(async () => {
  writeFileSync(passwordFile, newPassword);
  await bed.prepare();
});

/** Runs a command to its end and reads what it did to its repository. */
async function ledgerOf(command: Command): Promise<SyncLedger> {
  const { repository } = command;
  const isThere = existsSync(repository);
  const existing = isThere ? (readdirSync(repository, { recursive: true }) as string[]) : [];
  const ledger = new SyncLedger(repository, isThere ? ['', ...existing] : []);
  ledger.read(await tracedCalls(command, scratch.fresh('log'), { calls }));
  return ledger;
}

function publishedIn(ledger: SyncLedger, folder: string): NameChange[] {
  return ledger.changes.filter(
    ({ kind, path }) => kind === 'published' && path.startsWith(`${folder}/`),
  );
}

/** Packs that an index file names, as paths below the repository. */
async function packsOf(repository: string, index: string): Promise<string[]> {
  const text = await withRepository(repository, {}, (opened) =>
    opened.loadUnpacked('index', index.slice('index/'.length)),
  );
  const { packs } = JSON.parse(Buffer.from(text).toString()) as { packs: { id: string }[] };
  return packs.map(({ id }) => `data/${id.slice(0, 2)}/${id}`);
}

/** Index files come after their packs, snapshots after all that was stored, and nothing is left to chance. */
async function expectOrder(repository: string, ledger: SyncLedger): Promise<void> {
  expect(ledger.violations).toEqual([]);
  for (const { path, durable } of publishedIn(ledger, 'index')) {
    const packs = await packsOf(repository, path);
    expect(packs.length).toBeGreaterThan(0);
    for (const pack of packs) expect(durable, `${pack} is safe before ${path}`).toContain(pack);
  }
  for (const { path, durable } of publishedIn(ledger, 'snapshots')) {
    for (const stored of ['data', 'index'].flatMap((folder) => publishedIn(ledger, folder))) {
      expect(durable, `${stored.path} is safe before ${path}`).toContain(stored.path);
    }
  }
}

describeWith(['strace'], 'a power cut', () => {
  test.each([
    ['a first backup', bed.empty, ['backup', bed.source], 1],
    ['a further backup', bed.pristine, ['backup', bed.source], 1],
    ['a backup of several packs', bed.pristine, ['backup', '--pack-size', '4', bed.large], 3],
  ])('during %s takes nothing that a file refers to', async (_, from, args, packCount) => {
    const repository = bed.copyOf(from);
    const ledger = await ledgerOf({ repository, args });
    await expectOrder(repository, ledger);
    expect(publishedIn(ledger, 'data').length).toBeGreaterThanOrEqual(packCount);
    expect(publishedIn(ledger, 'index')).toHaveLength(1);
    expect(publishedIn(ledger, 'snapshots')).toHaveLength(1);
  });

  test('during init leaves no config without its key and its folders', async () => {
    const repository = bed.fresh('repository');
    const ledger = await ledgerOf({ repository, args: ['init'] });
    expect(ledger.violations).toEqual([]);
    const config = ledger.changes.find(({ path }) => path === 'config');
    const [key] = publishedIn(ledger, 'keys');
    expect(config?.durable).toContain(key?.path);
    // The empty one is the repository itself.
    const folders = ['', 'data', 'index', 'keys', 'locks', 'snapshots', 'data/00', 'data/ff'];
    for (const folder of folders) expect(config?.durable).toContain(folder);
  });

  test('while a password is changed leaves a key that opens', async () => {
    const repository = bed.copyOf(bed.pristine);
    const [old = ''] = bed.keysOf(repository);
    const ledger = await ledgerOf({ repository, args: ['key', 'passwd', ...newKey] });
    expect(ledger.violations).toEqual([]);
    const [added] = publishedIn(ledger, 'keys');
    const removal = ledger.changes.find(
      ({ kind, path }) => kind === 'removed' && path === `keys/${old}`,
    );
    expect(removal?.durable).toContain(added?.path);
  });

  test('after forget brings no snapshot back', async () => {
    const repository = bed.copyOf(bed.full);
    const ledger = await ledgerOf({ repository, args: ['forget', '--keep-last', '1'] });
    expect(ledger.violations).toEqual([]);
    const removed = ledger.changes.filter(
      ({ kind, path }) => kind === 'removed' && path.startsWith('snapshots/'),
    );
    expect(removed.length).toBeGreaterThan(0);
  });

  test('while a key is added or removed leaves nothing half done', async () => {
    const repository = bed.copyOf(bed.pristine);
    const [old] = bed.keysOf(repository);
    const adding = await ledgerOf({ repository, args: ['key', 'add', ...newKey] });
    const added = bed.keysOf(repository).find((id) => id !== old) ?? '';
    const removing = await ledgerOf({ repository, args: ['key', 'remove', added] });
    expect([...adding.violations, ...removing.violations]).toEqual([]);
    expect(publishedIn(adding, 'keys')).toHaveLength(1);
    expect(removing.changes.map(({ path }) => path)).toContain(`keys/${added}`);
  });

  test('while snapshots are tagged leaves the old one or the new one', async () => {
    const repository = bed.copyOf(bed.pristine);
    const ledger = await ledgerOf({ repository, args: ['tag', '--add', 'new'] });
    expect(ledger.violations).toEqual([]);
    const [added] = publishedIn(ledger, 'snapshots');
    const removal = ledger.changes.find(
      ({ kind, path }) => kind === 'removed' && path.startsWith('snapshots/'),
    );
    expect(removal?.durable).toContain(added?.path);
  });
});

const open =
  '7 openat(AT_FDCWD</>, "/r/index/a-tmp-1", O_WRONLY|O_CREAT|O_EXCL, 0600) = 3</r/index/a-tmp-1>';
const write = '7 pwrite64(3</r/index/a-tmp-1>, "x", 1, 0) = 1';
const sync = '7 fsync(3</r/index/a-tmp-1>) = 0';
const link = '7 link("/r/index/a-tmp-1", "/r/index/a") = 0';
const unlink = '7 unlink("/r/index/a-tmp-1") = 0';
const syncFolder = '7 fsync(4</r/index>) = 0';

function violationsOf(...lines: readonly string[]): string[] {
  const ledger = new SyncLedger('/r', ['', 'index', 'keys', 'keys/k']);
  ledger.read(lines.join('\n'));
  expect(ledger.callCount).toBeGreaterThan(0);
  return ledger.violations;
}

describe('the books on a log', () => {
  test('have nothing to say about the right order', () => {
    expect(violationsOf(open, write, sync, link, unlink, syncFolder)).toEqual([]);
  });

  test('find a name before its content, and one that is not safe at the end', () => {
    const early = ['index/a got its name before its content'];
    expect(violationsOf(open, write, link, sync, unlink, syncFolder)).toEqual(early);
    expect(violationsOf(open, sync, write, link, unlink, syncFolder)).toEqual(early);
    const failed = sync.replace('= 0', '= -1 EIO (Input/output error)');
    expect(violationsOf(open, write, failed, link, unlink, syncFolder)).toEqual(early);
    const late = ['the name of index/a is not durable at the end'];
    expect(violationsOf(open, write, sync, syncFolder, link, unlink)).toEqual(late);
    const removal = ['the removal of keys/k is not durable at the end'];
    expect(violationsOf('7 unlink("/r/keys/k") = 0')).toEqual(removal);
  });

  test('put calls together that strace tells of in two lines', () => {
    const halves = ['7 fsync(3</r/index/a-tmp-1> <unfinished ...>', '7 <... fsync resumed>) = 0'];
    const other = '8 mkdir("/elsewhere", 0777) = 0';
    const [begin = '', end = ''] = halves;
    expect(violationsOf(open, write, begin, other, end, link, unlink, syncFolder)).toEqual([]);
    expect(violationsOf(open, write, begin, other, link, end, unlink, syncFolder)).toHaveLength(1);
  });

  test('know what was safe when a name was given', () => {
    const ledger = new SyncLedger('/r', ['', 'index']);
    const next = [open, write, sync, link, unlink].map((line) => line.replaceAll('/a', '/b'));
    ledger.read([open, write, sync, link, unlink, ...next, syncFolder].join('\n'));
    expect(ledger.changes.map(({ path, durable }) => [path, durable.has('index/a')])).toEqual([
      ['index/a', false],
      ['index/b', false],
    ]);
  });
});
