import { loadIndex, loadIndexFiles } from '../repository/index-load.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import { testRepository } from '../repository/index-test-support.ts';
import { fault } from '../storage/fault.ts';
import { describe, expect, test } from 'vitest';

import { systemEnvironment } from '../base/environment.ts';
import { describeError } from '../base/errors.ts';
import { loadSnapshots, type StoredSnapshot } from '../repository/snapshots.ts';
import { memoryKey } from '../storage/memory/memory-backend.ts';
import { check } from './check.ts';
import { type FolderContent, madeFile, madeLink, SnapshotMaker } from './engine-test-support.ts';
import { assertWhole, behind, hourMs, prunable, prune, quiet } from './prune/prune-test-support.ts';
import { defined } from '../base/assert.ts';
import { walkTree } from './trees/walk-paths.ts';
import {
  type RewriteChange,
  type RewriteRequest,
  type RewriteResult,
  rewriteSnapshots,
  type Selection,
} from './rewrite.ts';

const content: FolderContent = {
  'a.txt': madeFile('a'),
  link: madeLink('a.txt'),
  sub: { 'b.log': madeFile('bb'), deep: { 'c.log': madeFile('ccc') }, 'd.txt': 'dddd' },
};

/** Leaves out what ends so. */
function without(end: string): Selection {
  const select: Selection['select'] = (path) => {
    const selected = !Buffer.from(path).toString().endsWith(end);
    return { selected, mayHoldSelected: selected };
  };
  return { select, isInclude: false };
}

/** Keeps only what ends so. */
function only(end: string): Selection {
  const select: Selection['select'] = (path, isDirectory) => {
    const selected = Buffer.from(path).toString().endsWith(end);
    return { selected, mayHoldSelected: isDirectory };
  };
  return { select, isInclude: true };
}

interface HeardRewrite extends RewriteResult {
  readonly complaints: readonly string[];
  readonly snapshots: readonly StoredSnapshot[];
  /** `done/total errors items`, as told. */
  readonly progress: readonly string[];
}

async function rewrite(
  maker: SnapshotMaker,
  change: Partial<RewriteChange>,
  more: Partial<RewriteRequest> = {},
): Promise<HeardRewrite> {
  const complaints: string[] = [];
  const progress: string[] = [];
  const { repository } = maker;
  const snapshots = await loadSnapshots(repository);
  const loaded = await loadIndexFiles(repository);
  const result = await rewriteSnapshots(
    new IndexedRepository(repository, loaded.index, loaded),
    {
      snapshots,
      existing: snapshots,
      change: { withSummary: false, ...change },
      forget: false,
      dryRun: false,
      lock: undefined,
      ...more,
    },
    {
      environment: systemEnvironment,
      monitor: {
        problem: ({ item, error }) => complaints.push(`${item}: ${describeError(error)}`),
        note: () => {},
        progress: ({ filesDone, filesTotal, errorCount, currentItems }) =>
          progress.push(`${filesDone}/${filesTotal} ${errorCount} ${currentItems.join()}`),
      },
    },
  );
  return { ...result, complaints, progress, snapshots: await loadSnapshots(repository) };
}

test('tells how far it is: the snapshots that are done, and the folder that it is at', async () => {
  const maker = new SnapshotMaker();
  const { id: good } = await maker.snapshotOf(content);
  const { id: bad } = await maker.snapshot(Buffer.from('9'.repeat(64), 'hex'), {
    seconds: 1_800_000_000,
    nanoseconds: 0,
  });
  const { progress, failed } = await rewrite(maker, { selection: without('.log') });
  expect(failed).toEqual([bad]);
  expect(progress).toEqual([
    `0/2 0 ${good.slice(0, 8)}:/`,
    `0/2 0 ${good.slice(0, 8)}:/sub`,
    `0/2 0 ${good.slice(0, 8)}:/sub/deep`,
    '1/2 0 ',
    `1/2 0 ${bad.slice(0, 8)}:/`,
    '2/2 1 ',
  ]);
});

/** Paths of a snapshot; the whole repository is checked. */
async function pathsOf(
  maker: SnapshotMaker,
  snapshot: StoredSnapshot | undefined,
): Promise<string[]> {
  const paths: string[] = [];
  const errors: string[] = [];
  const monitor = {
    problem: ({ error }: { error: unknown }) => errors.push(describeError(error)),
    note: () => {},
    phase: () => {},
    progress: () => {},
  };
  const context = { environment: systemEnvironment, monitor };
  const visitor = {
    node: ({ path }: { path: Uint8Array }) => void paths.push(String(Buffer.from(path))),
  };
  await walkTree(await maker.indexed(), Buffer.from(snapshot?.tree ?? '', 'hex'), visitor, context);
  await check(maker.repository, {}, context);
  expect(errors).toEqual([]);
  return paths;
}

describe('filters', () => {
  test('what is excluded goes; folders stay, and the summary says what is left', async () => {
    const maker = new SnapshotMaker();
    const before = await maker.snapshotOf(content);
    const result = await rewrite(maker, { selection: without('.log') });
    expect(result).toMatchObject({ changedCount: 1, complaints: [] });
    const changed = result.snapshots.find(({ original }) => original === before.id);
    expect(await pathsOf(maker, changed)).toEqual([
      '/a.txt',
      '/link',
      '/sub',
      '/sub/d.txt',
      '/sub/deep',
    ]);
    expect(changed).toMatchObject({
      tags: ['rewrite'],
      summary: { totalFilesProcessed: 2, totalBytesProcessed: 5 },
    });
    // The old one is still whole.
    expect(await pathsOf(maker, before)).toHaveLength(7);
  });

  test('what is included stays, with the folders above it', async () => {
    const maker = new SnapshotMaker();
    const before = await maker.snapshotOf(content);
    const result = await rewrite(maker, { selection: only('c.log') }, { forget: true });
    expect(result.snapshots).toHaveLength(1);
    const [changed] = result.snapshots;
    expect(changed?.original).toBe(before.id);
    expect(changed?.tags).toBeUndefined();
    expect(await pathsOf(maker, changed)).toEqual(['/sub', '/sub/deep', '/sub/deep/c.log']);
  });

  test('nothing is written for what stays as it is, and nothing is left alone', async () => {
    const maker = new SnapshotMaker();
    await maker.snapshotOf(content);
    await rewrite(maker, { withSummary: true }, { forget: true });
    const files = [...maker.backend.files.keys()];
    for (const selection of [without('nothing'), only('nothing')]) {
      expect(await rewrite(maker, { selection })).toMatchObject({ changedCount: 0 });
    }
    expect(await rewrite(maker, { withSummary: true })).toMatchObject({ changedCount: 0 });
    expect([...maker.backend.files.keys()]).toEqual(files);
  });

  test('a dry run writes nothing', async () => {
    const maker = new SnapshotMaker();
    await maker.snapshotOf(content);
    const files = [...maker.backend.files.keys()];
    const change = { selection: without('.log'), hostname: 'new' };
    const result = await rewrite(maker, change, { dryRun: true, forget: true });
    expect(result.changedCount).toBe(1);
    expect([...maker.backend.files.keys()]).toEqual(files);
  });

  test('fields of other programs stay, byte for byte', async () => {
    const maker = new SnapshotMaker();
    const plain = '"mode":420,"mtime":"2020-01-01T00:00:00Z","atime":"2020-01-01T00:00:00Z"';
    const more = `${plain},"ctime":"2020-01-01T00:00:00Z","uid":0,"gid":0,"content":[]`;
    const node = (name: string): string =>
      `{"name":"${name}","type":"file",${more},"later_field":{"x":[1,{"y":"\\"subtree\\":"}]}}`;
    await maker.snapshot(maker.rawTree(`{"nodes":[${node('a')},${node('b')}]}\n`));
    const result = await rewrite(maker, { selection: without('b') }, { forget: true });
    const tree = Buffer.from(result.snapshots[0]?.tree ?? '', 'hex');
    const bytes = await (await maker.indexed()).loadBlob('tree', tree);
    expect(Buffer.from(bytes).toString()).toBe(`{"nodes":[${node('a')}]}\n`);
  });

  test('a tree that would lose something is refused', async () => {
    const maker = new SnapshotMaker();
    const node = '{"name":"b","type":"file","content":[]}';
    const snapshot = await maker.snapshot(maker.rawTree(`{"nodes":[${node}],"more":1}\n`));
    const result = await rewrite(maker, { selection: without('b') }, { forget: true });
    expect(result).toMatchObject({ changedCount: 0, failed: [snapshot.id] });
    expect(result.complaints.join()).toMatch(/more than its entries/);
    expect(result.snapshots).toHaveLength(1);
  });
});

test('host and time change without a look at the trees', async () => {
  const maker = new SnapshotMaker();
  const before = await maker.snapshotOf(content);
  for (const pack of maker.packs) {
    maker.backend.files.delete(memoryKey({ type: 'pack', name: pack.id }));
  }
  const time = { seconds: 1_600_000_000, nanoseconds: 0, offsetMinutes: 0 };
  const result = await rewrite(maker, { hostname: 'new', time }, { forget: true });
  expect(result.snapshots).toMatchObject([
    { hostname: 'new', time, tree: before.tree, original: before.id },
  ]);
});

test.each([true, false])(
  'what was cut off once the new snapshot was stored is not stored again (forget: %s)',
  async (forget) => {
    const maker = new SnapshotMaker();
    const { id } = await maker.snapshotOf(content);
    const key = memoryKey({ type: 'snapshot', name: id });
    const old = defined(maker.backend.files.get(key), 'it is stored');
    const change = { selection: without('.log') };
    const first = await rewrite(maker, change, { forget });
    maker.backend.files.set(key, old);
    const again = await rewrite(maker, change, { forget });
    expect(again.complaints).toEqual([]);
    expect(again.snapshots.map((each) => each.id)).toEqual(first.snapshots.map((each) => each.id));
    expect(again.changedCount).toBe(forget ? 1 : 0);
  },
);

test('a storage that is full ends it, and is not taken for damage of the snapshot', async () => {
  const maker = new SnapshotMaker();
  await maker.snapshotOf(content);
  const full = { kind: 'error', code: 'STORAGE_FULL' } as const;
  const rules = [{ operation: 'put', type: 'pack', count: Infinity, fault: full }] as const;
  const backend = fault(maker.backend, rules);
  const repository = testRepository({ backend });
  const indexed = new IndexedRepository(repository, await loadIndex(repository));
  const complaints: unknown[] = [];
  const monitor = { problem: (problem: unknown) => complaints.push(problem), note: () => {} };
  const snapshots = await loadSnapshots(repository);
  const run = rewriteSnapshots(
    indexed,
    {
      snapshots,
      existing: snapshots,
      change: { withSummary: false, selection: without('.log') },
      forget: true,
      dryRun: false,
      lock: undefined,
    },
    { environment: systemEnvironment, monitor },
  );
  await expect(run).rejects.toMatchObject({ code: 'STORAGE_FULL' });
  expect(complaints).toEqual([]);
  expect(await loadSnapshots(maker.repository)).toHaveLength(1);
});

test('a snapshot that cannot be read is named and stays; the others are rewritten', async () => {
  const maker = new SnapshotMaker();
  const broken = await maker.snapshotOf({ x: { y: 'z' } });
  const [, trees] = maker.packs;
  await maker.snapshotOf(content);
  maker.backend.files.delete(memoryKey({ type: 'pack', name: trees?.id ?? '' }));
  const result = await rewrite(maker, { selection: without('.log') }, { forget: true });
  expect(result).toMatchObject({ changedCount: 1, failed: [broken.id] });
  expect(result.snapshots).toHaveLength(2);
  expect(result.complaints[0]).toContain(`snapshot ${broken.id}: a tree blob`);
});

/** Rewrites, and forgets that. @returns the new tree */
async function rewrittenOnce(maker: SnapshotMaker): Promise<string> {
  await maker.snapshotOf(content);
  const { snapshots } = await rewrite(maker, { selection: without('.log') });
  const done = snapshots.find(({ original }) => original !== undefined);
  maker.backend.files.delete(memoryKey({ type: 'snapshot', name: done?.id ?? '' }));
  return done?.tree ?? '';
}

const hasPack = ({ backend }: SnapshotMaker, name: string): boolean =>
  backend.files.has(memoryKey({ type: 'pack', name }));

describe('a tree that the repository should have', () => {
  test('is stored again if its pack is gone', async () => {
    const maker = new SnapshotMaker();
    const tree = await rewrittenOnce(maker);
    const ours = new Set(maker.packs.map(({ id }) => memoryKey({ type: 'pack', name: id })));
    for (const key of maker.backend.files.keys()) {
      if (key.startsWith('pack/') && !ours.has(key)) maker.backend.files.delete(key);
    }
    const { snapshots, complaints } = await rewrite(maker, { selection: without('.log') });
    expect(complaints).toEqual([]);
    expect(snapshots.map((each) => each.tree)).toContain(tree);
    await (await maker.indexed()).loadTree(Buffer.from(tree, 'hex'));
  });

  test('is stored again if its pack is marked as to be deleted', async () => {
    const maker = new SnapshotMaker();
    const tree = await rewrittenOnce(maker);
    const { marked } = await prune(maker.backend);
    expect(marked.filter(({ id }) => hasPack(maker, id))).toHaveLength(1);
    await rewrite(maker, { selection: without('.log') });
    for (const { id } of marked) maker.backend.files.delete(memoryKey({ type: 'pack', name: id }));
    await (await maker.indexed()).loadTree(Buffer.from(tree, 'hex'));
  });
});

test('where listings may be behind, a rewritten snapshot leans on nothing that is marked', async () => {
  const { backend, kept } = await prunable();
  const [old, other] = kept;
  const oldId = defined(old, 'there are two').id;
  await prune(behind(backend, oldId));
  const repository = testRepository({ backend });
  const loaded = await loadIndexFiles(repository);
  const existing = await loadSnapshots(repository);
  const snapshots = existing.filter(({ id }) => id === oldId);
  const change = { withSummary: false, hostname: 'elsewhere' };
  await rewriteSnapshots(
    new IndexedRepository(repository, loaded.index, loaded),
    { snapshots, existing, change, forget: true, dryRun: false, lock: undefined },
    { environment: systemEnvironment, monitor: quiet },
  );
  const now = await loadSnapshots(repository);
  const id = defined(
    now.find(({ hostname }) => hostname === 'elsewhere'),
    'it is stored',
  ).id;
  await prune(behind(backend, id), { laterMs: 25 * hourMs });
  await assertWhole(backend.files, [defined(other, 'there are two'), { id }]);
});
