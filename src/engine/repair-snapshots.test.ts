import { beforeEach, describe, expect, test } from 'vitest';
import { systemEnvironment as environment } from '../base/environment.ts';
import { silentMonitor } from '../base/monitor.ts';
import { testRepository } from '../repository/index-test-support.ts';
import { loadSnapshots, type StoredSnapshot } from '../repository/snapshots.ts';
import { MemoryBackend, type MemoryFiles } from '../storage/memory/memory-backend.ts';
import { check } from './check.ts';
import { madeOfPieces, madeSpecial, noise, SnapshotMaker } from './engine-test-support.ts';
import { stopEverywhere } from './repair/repair-test-support.ts';
import {
  repairSnapshots,
  type SnapshotRepairRequest,
  type SnapshotRepairResult,
} from './repair-snapshots.ts';

const [one, two] = [noise(2_000, 1), noise(2_000, 2)];

let maker: SnapshotMaker;
let files: MemoryFiles;
let damaged: StoredSnapshot;
let whole: StoredSnapshot;

beforeEach(async () => {
  maker = new SnapshotMaker();
  files = maker.backend.files;
  whole = await maker.snapshotOf({ good: 'some text' });
  // The pack of these is lost below, with its index file.
  const before = new Set(files.keys());
  const lostFolder = maker.folder({ inside: 'text' });
  const lostContent = madeOfPieces([one]);
  maker.node('x', lostContent);
  await maker.store();
  const after = [...files.keys()].filter((key) => !before.has(key));
  damaged = await maker.snapshot(
    maker.tree([
      maker.node(
        'deep',
        madeSpecial('dir', { subtree: maker.folder({ half: madeOfPieces([two]) }) }),
      ),
      maker.node('folder', madeSpecial('dir', { subtree: lostFolder })),
      { ...maker.node('half', madeOfPieces([two])), content: contentOf(one, two), sizeBytes: 4000 },
      maker.node('odd', madeSpecial('irregular')),
    ]),
  );
  for (const key of after) files.delete(key);
});

function contentOf(...pieces: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(pieces.map((piece) => new SnapshotMaker().blob('data', piece)));
}

interface Heard extends SnapshotRepairResult {
  readonly lines: readonly string[];
}

async function repair(
  how: Partial<SnapshotRepairRequest> = {},
  repository = maker.repository,
): Promise<Heard> {
  const existing = await loadSnapshots(repository);
  const lines: string[] = [];
  const listener = {
    started: (): void => {},
    loss: (path: string, loss: string) => lines.push(`${path}: ${loss}`),
    ended: ({ id }: StoredSnapshot, { kind }: { readonly kind: string }) =>
      lines.push(`${id === damaged.id ? 'damaged' : id === whole.id ? 'whole' : 'new'} is ${kind}`),
  };
  const request = { snapshots: existing, existing, sources: {}, lock: undefined, listener };
  const flags = { forget: false, dryRun: false };
  const context = { environment, monitor: silentMonitor };
  const result = await repairSnapshots(repository, { ...request, ...flags, ...how }, context);
  return { ...result, lines };
}

async function errorsNow(of: MemoryFiles = files): Promise<readonly string[]> {
  const repository = testRepository({ backend: new MemoryBackend(of) });
  const monitor = { ...silentMonitor, phase: () => {}, progress: () => {} };
  return (await check(repository, {}, { environment, monitor })).errors;
}

describe('repair of snapshots', () => {
  test('takes out what is missing, and keeps the old snapshot', async () => {
    const { lines, modifiedCount } = await repair();
    expect(lines.toSorted()).toMatchInlineSnapshot(`
      [
        "/folder: folder",
        "/half: content",
        "/odd: node",
        "damaged is repaired",
        "whole is whole",
      ]
    `);
    expect(modifiedCount).toBe(1);
    const snapshots = await loadSnapshots(maker.repository);
    expect(snapshots).toHaveLength(3);
    const repaired = snapshots.find(({ original }) => original === damaged.id);
    expect(repaired).toMatchObject({ tags: ['repaired'], paths: ['/made'] });
    files.delete(`snapshot/${damaged.id}`);
    expect(await errorsNow()).toEqual([]);
  });

  test.each([{ forget: true }, { dryRun: true }])(
    'is refused with packs gone that the index lists: %o',
    async (how) => {
      await repair({ forget: true });
      const snapshot = await maker.snapshotOf({ new: madeOfPieces([noise(500, 9)]) });
      files.delete(`pack/${maker.packs.at(-2)?.id ?? ''}`);
      const before = [...files.keys()];
      await expect(repair({ ...how, snapshots: [snapshot] })).rejects.toMatchObject({
        code: 'PACK_DAMAGED',
        hint: expect.stringContaining('repair index'),
      });
      expect([...files.keys()]).toEqual(before);
    },
  );

  test.each(['content', 'root'])(
    'keeps originals while a pack that no index file lists has their %s',
    async (what) => {
      await repair({ forget: true });
      const content = maker.blob('data', noise(500, 9));
      if (what === 'content') await maker.store();
      const unlisted = [...files.keys()].at(-1) ?? '';
      const snapshot = await maker.snapshot(
        maker.tree([{ ...maker.node('new', madeOfPieces([])), content, sizeBytes: 500 }]),
      );
      const index = [...files.keys()].findLast((key) => key.startsWith('index/')) ?? '';
      files.delete(what === 'content' ? unlisted : index);
      const before = [...files.keys()];
      await expect(repair({ snapshots: [snapshot], forget: true })).rejects.toMatchObject({
        code: 'INDEX_DAMAGED',
        hint: expect.stringContaining('repair index'),
      });
      expect([...files.keys()]).toEqual(before);
      expect((await repair({ snapshots: [snapshot] })).modifiedCount).toBe(1);
    },
  );

  test('stores nothing twice', async () => {
    await repair();
    const before = [...files.keys()];
    expect((await repair()).modifiedCount).toBe(1);
    expect([...files.keys()]).toEqual(before);
  });

  test('removes the old one if told so, once the new one is there', async () => {
    await repair();
    await repair({ forget: true });
    const ids = (await loadSnapshots(maker.repository)).map(({ id }) => id);
    expect(ids).not.toContain(damaged.id);
    expect(ids).toHaveLength(2);
    expect(await errorsNow()).toEqual([]);
  });

  test('changes nothing in a dry run', async () => {
    const before = [...files.keys()];
    expect((await repair({ dryRun: true, forget: true })).modifiedCount).toBe(1);
    expect([...files.keys()]).toEqual(before);
  });

  test('puts back what a second repository has', async () => {
    const other = new SnapshotMaker();
    await other.snapshotOf({ folder: { inside: 'text' }, x: madeOfPieces([one]) });
    const { healedCount, lines } = await repair({ sources: { repository: await other.indexed() } });
    expect(healedCount).toBe(1);
    expect(lines).not.toContain('/half: content');
  });

  test('keeps a snapshot whose root is lost until told otherwise', async () => {
    const lost = await maker.snapshot(maker.folder({ other: 'content' }));
    const trees = maker.packs.at(-1);
    files.delete(`pack/${trees?.id ?? ''}`);
    for (const key of files.keys()) if (key.startsWith('index/')) files.delete(key);
    await repair({ snapshots: [lost] });
    expect(files.has(`snapshot/${lost.id}`)).toBe(true);
    await repair({ snapshots: [lost], forget: true });
    expect(files.has(`snapshot/${lost.id}`)).toBe(false);
  });

  test('loses no snapshot wherever it is stopped, and goes on', async () => {
    const stops = await stopEverywhere(
      files,
      (repository) => repair({ forget: true }, repository),
      async (left, stop) => {
        const repository = testRepository({ backend: new MemoryBackend(left) });
        const ids = (await loadSnapshots(repository)).map(({ id, original }) => original ?? id);
        expect(ids, stop).toContain(damaged.id);
        expect(ids, stop).toContain(whole.id);
        await repair({ forget: true }, repository);
        expect(await errorsNow(left), stop).toEqual([]);
        expect(await loadSnapshots(repository), stop).toHaveLength(2);
      },
    );
    expect(stops).toBeGreaterThan(5);
  });
});
