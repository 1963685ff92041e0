import { describe, expect, test } from 'vitest';

import { toHex } from '../base/bytes.ts';
import { systemEnvironment } from '../base/environment.ts';
import { describeError } from '../base/errors.ts';
import type { SealKey } from '../kernels/seal.ts';
import type { BlobType } from '../repository/blob.ts';
import { hashOf, saveSnapshot, testRepository } from '../repository/index-test-support.ts';
import { loadIndexFiles } from '../repository/index-load.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import type { Repository } from '../repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../repository/snapshots.ts';
import type { Backend } from '../storage/backend.ts';
import { fault, type FaultRule } from '../storage/fault.ts';
import { memoryKey, MemoryBackend } from '../storage/memory/memory-backend.ts';
import { record } from '../storage/record.ts';
import { check } from './check.ts';
import { type CopyResult, copySnapshots } from './copy.ts';
import { prune } from './prune/prune-test-support.ts';
import { executeIndexRepair, planIndexRepair } from './repair-index.ts';
import { repairPacks } from './repair-packs.ts';
import { hearRepair } from './repair/repair-test-support.ts';
import { madeOfPieces, madeSpecial, noise, SnapshotMaker } from './engine-test-support.ts';

const targetKey: SealKey = {
  encrypt: new Uint8Array(32).fill(7),
  macK: new Uint8Array(16).fill(8),
  macR: new Uint8Array(16).fill(9),
};

const [a, b, c] = [noise(5000, 1), noise(6000, 2), noise(7000, 3)];
interface Source {
  readonly maker: SnapshotMaker;
  /** Oldest first. */
  readonly snapshots: readonly [StoredSnapshot, StoredSnapshot, StoredSnapshot];
}

/** A pack of data and one of trees. */
async function makeSource(): Promise<Source> {
  const maker = new SnapshotMaker();
  const shared = madeSpecial('dir', { subtree: maker.folder({ x: 'x', deep: { y: 'y' } }) });
  const trees = {
    first: maker.folder({ ab: madeOfPieces([a, b]), shared }),
    second: maker.folder({ abc: madeOfPieces([a, b, c]), shared, more: 'text' }),
    third: maker.folder({ only: 'text of its own', empty: {} }),
  };
  const snapshots = [
    await maker.snapshot(trees.first, { seconds: 1000, nanoseconds: 5 }),
    await maker.snapshot(trees.second, { seconds: 1001, nanoseconds: 5 }),
    await maker.snapshot(trees.third, { seconds: 1002, nanoseconds: 5 }),
  ] as const;
  return { maker, snapshots };
}

const quietRepair = hearRepair().context;

interface HeardCopy extends CopyResult {
  readonly complaints: readonly string[];
  readonly notes: readonly string[];
  readonly skipped: readonly string[];
}

/** Copies to a backend as a new process does. */
async function copyTo(
  backend: Backend,
  { maker, snapshots }: Pick<Source, 'maker'> & { readonly snapshots: readonly StoredSnapshot[] },
  from?: Backend,
): Promise<HeardCopy> {
  const complaints: string[] = [];
  const notes: string[] = [];
  const skipped: string[] = [];
  const source = from ? testRepository({ backend: from }) : maker.repository;
  const target = targetOf(backend);
  const existing = await loadSnapshots(target);
  const result = await copySnapshots(
    {
      source: await indexed(source),
      snapshots,
      target: await indexed(target),
      existing,
      lock: undefined,
    },
    {
      environment: systemEnvironment,
      monitor: {
        problem: ({ item, error }) => complaints.push(`${item}: ${describeError(error)}`),
        note: (text) => notes.push(text),
        snapshotSkipped: ({ id }) => skipped.push(id),
      },
    },
  );
  return { ...result, complaints, notes, skipped };
}

const targetOf = (backend: Backend): Repository =>
  testRepository({ backend, masterKey: targetKey });

async function indexed(repository: Repository): Promise<IndexedRepository> {
  const loaded = await loadIndexFiles(repository);
  return new IndexedRepository(repository, loaded.index, loaded);
}

/** Everything that is there can be restored. @returns the snapshots */
async function expectSound(backend: Backend): Promise<StoredSnapshot[]> {
  const errors: string[] = [];
  const monitor = {
    problem: ({ item, error }: { item: string; error: unknown }) =>
      errors.push(`${item}: ${describeError(error)}`),
    note: () => {},
    phase: () => {},
    progress: () => {},
  };
  await check(targetOf(backend), {}, { environment: systemEnvironment, monitor });
  expect(errors).toEqual([]);
  const opened = await indexed(targetOf(backend));
  for (let entry = 0; entry < opened.index.blobCount; entry++) {
    await opened.loadBlob(opened.index.typeOf(entry), opened.index.idOf(entry));
  }
  return loadSnapshots(opened.repository);
}

test('snapshots arrive with all that they hold, and remember where they come from', async () => {
  const source = await makeSource();
  const backend = new MemoryBackend();
  const result = await copyTo(backend, source);
  expect(result).toMatchObject({ failed: [], skippedCount: 0, complaints: [] });
  const copies = await expectSound(backend);
  expect(result.copied.map(({ target }) => target)).toEqual(copies.map(({ id }) => id));
  for (const [i, copy] of copies.entries()) {
    const from = source.snapshots[i];
    const same = { tree: from?.tree, paths: from?.paths, time: { seconds: 1000 + i } };
    expect(copy).toMatchObject({ ...same, original: from?.id });
  }
});

test('what was copied is passed over, whatever its tags were before it was copied', async () => {
  const source = await makeSource();
  const backend = new MemoryBackend();
  await copyTo(backend, source);
  const recorded = record(backend);
  const again = await copyTo(recorded, source);
  expect(again).toMatchObject({ copied: [], skippedCount: 3, blobCount: 0 });
  expect(again.skipped).toEqual(source.snapshots.map(({ id }) => id));
  expect(recorded.count({ operation: 'put' })).toBe(0);
});

test('a snapshot whose tags were changed since is copied again, without its data', async () => {
  const source = await makeSource();
  const backend = new MemoryBackend();
  await copyTo(backend, source);
  const [{ id, ...first }] = source.snapshots;
  const retagged = { ...first, tags: ['new'], original: id };
  const newId = await saveSnapshot(source.maker.repository, retagged);
  const [, second, third] = source.snapshots;
  const snapshots = [second, third, { ...retagged, id: newId }] as const;
  const again = await copyTo(backend, { ...source, snapshots });
  expect(again).toMatchObject({ skippedCount: 2, blobCount: 0 });
  const copies = await expectSound(backend);
  expect(copies.filter(({ original }) => original === id)).toHaveLength(2);
});

test('the parent is left out: it means nothing elsewhere', async () => {
  const source = await makeSource();
  const [first, second] = source.snapshots;
  const child = { ...first, parent: second.id, original: 'f'.repeat(64) };
  const id = await saveSnapshot(source.maker.repository, child);
  const backend = new MemoryBackend();
  await copyTo(backend, { ...source, snapshots: [{ ...child, id }] });
  const [copy] = await expectSound(backend);
  expect(copy?.parent).toBeUndefined();
  expect(copy?.original).toBe('f'.repeat(64));
});

test('what a node refers to against its type arrives as well, as far as it is there', async () => {
  const maker = new SnapshotMaker();
  const below = toHex(maker.folder({ x: 'below a link' }));
  const content = [toHex(maker.blob('data', a)), '7'.repeat(64)];
  const link = { name: 'a', type: 'symlink', mode: 0o777, linktarget: 'x' };
  const tree = maker.rawTree(JSON.stringify({ nodes: [{ ...link, content, subtree: below }] }));
  const backend = new MemoryBackend();
  const result = await copyTo(backend, { maker, snapshots: [await maker.snapshot(tree)] });
  expect(result).toMatchObject({ failed: [], complaints: [], blobCount: 4 });
  const target = await indexed(targetOf(backend));
  await target.loadBlob('data', hashOf(a));
  await target.loadTree(Buffer.from(below, 'hex'));
});

test('the source is only read', async () => {
  const source = await makeSource();
  const from = record(source.maker.backend);
  await copyTo(new MemoryBackend(), source, from);
  const operations = new Set(from.calls.map(({ operation }) => operation));
  expect([...operations].sort()).toEqual(['get', 'list']);
});

describe('whatever fails, the target has a snapshot whole or not at all', () => {
  const kinds = [
    { kind: 'error', code: 'BACKEND_WRITE_FAILED' },
    { kind: 'error-after', code: 'BACKEND_WRITE_FAILED' },
    { kind: 'lost' },
    { kind: 'partial', sizeBytes: 40 },
  ] as const;

  test.each(kinds)('puts: %o', async (what) => {
    const source = await makeSource();
    let faultCount = 0;
    for (let call = 1; ; call++) {
      const backend = new MemoryBackend();
      const rule: FaultRule = { operation: 'put', call, fault: what };
      const faulty = fault(backend, [rule]);
      const failure = await copyTo(faulty, source).then(
        () => undefined,
        (error: unknown) => error,
      );
      await expectSound(backend);
      if (faulty.faultCount === 0) break;
      faultCount++;
      expect(failure, `put ${call}`).toMatchObject({ code: 'BACKEND_WRITE_FAILED' });
      const packs = [...backend.files.keys()].filter((key) => key.startsWith('index')).length;
      const recorded = record(backend);
      expect(await copyTo(recorded, source)).toMatchObject({ failed: [] });
      expect(await expectSound(backend)).toHaveLength(3);
      // Nothing that an index lists is sent again.
      if (packs > 0) expect(recorded.count({ operation: 'put', type: 'pack' })).toBe(0);
    }
    // Packs of data and trees, an index file, three snapshots.
    expect(faultCount).toBe(6);
  });
});

/** Flips a bit of a blob that is stored once. */
async function damage({ maker }: Source, type: BlobType, id: Uint8Array): Promise<void> {
  const { index } = await maker.indexed();
  const entry = index.find(type, id);
  const name = Buffer.from(index.packId(index.packOf(entry))).toString('hex');
  const bytes = maker.backend.files.get(memoryKey({ type: 'pack', name }))!;
  const at = index.offsetOf(entry) + 20;
  bytes[at] = (bytes[at] ?? 0) ^ 4;
}

/** A target without the snapshots that were copied to it, and its packs. */
async function copiedOnce(source: Source): Promise<MemoryBackend> {
  const backend = new MemoryBackend();
  await copyTo(backend, source);
  for (const key of backend.files.keys()) {
    if (key.startsWith('snapshot/')) backend.files.delete(key);
  }
  return backend;
}

const keysOf = (backend: MemoryBackend, type: string): string[] =>
  [...backend.files.keys()].filter((key) => key.startsWith(`${type}/`));

async function expectReadable(backend: MemoryBackend, from: Source): Promise<void> {
  const packs = keysOf(backend, 'pack').map((key) => key.slice('pack/'.length));
  const { index, repository } = await indexed(targetOf(backend));
  const target = new IndexedRepository(repository, index);
  for (const { id, plain } of [a, b, c].map((bytes) => ({ id: hashOf(bytes), plain: bytes }))) {
    expect(Buffer.compare(await target.loadBlob('data', id), plain)).toBe(0);
  }
  for (const { tree } of from.snapshots) await target.loadTree(Buffer.from(tree, 'hex'));
  expect(packs.length).toBeGreaterThan(1);
}

function lose(backend: MemoryBackend, key: string): void {
  backend.files.delete(key);
}

function cutShort({ files }: MemoryBackend, key: string): void {
  files.set(key, files.get(key)?.slice(0, -1) ?? new Uint8Array(0));
}

function notKept(id: string): Promise<string> {
  return Promise.resolve(id);
}

describe('what the target has lost', () => {
  test.each([
    ['gone', lose],
    ['cut short', cutShort],
  ])('a pack that is %s is sent again, and told of', async (_, damages) => {
    const source = await makeSource();
    const backend = await copiedOnce(source);
    for (const key of keysOf(backend, 'pack')) damages(backend, key);
    const result = await copyTo(backend, source);
    expect(result.complaints).toEqual([]);
    expect(result.notes.join('\n')).toMatch(
      /^2 packs that the index of the destination lists are missing or cut short[^]*\nall that the lost packs/,
    );
    expect(result).toMatchObject({ healed: [], healedBlobCount: 0 });
    expect(result.copied).toHaveLength(3);
    await expectReadable(backend, source);
  });

  test.each([
    ['gone', lose],
    ['cut short', cutShort],
  ])('an earlier copy of which a pack is %s is healed', async (_, damages) => {
    const source = await makeSource();
    const backend = new MemoryBackend();
    const first = await copyTo(backend, source);
    const lost = keysOf(backend, 'pack').map((key) => key.slice('pack/'.length));
    for (const id of lost) damages(backend, `pack/${id}`);
    const result = await copyTo(backend, source);
    expect(result).toMatchObject({ complaints: [], copied: [], failed: [], skippedCount: 0 });
    expect(result.healed).toEqual(first.copied);
    expect(result.healedBlobCount).toBe(first.blobCount);
    expect(keysOf(backend, 'snapshot')).toHaveLength(3);
    await expectReadable(backend, source);
    const plan = await planIndexRepair(targetOf(backend), { readAllPacks: false }, quietRepair);
    await executeIndexRepair(targetOf(backend), plan, quietRepair);
    if (damages === cutShort) {
      const request = { packs: lost, sources: {}, keep: notKept };
      await repairPacks(targetOf(backend), request, quietRepair);
    }
    await expectSound(backend);
    // And then there is nothing more to heal.
    const recorded = record(backend);
    expect(await copyTo(recorded, source)).toMatchObject({
      skippedCount: 3,
      healed: [],
      notes: [],
    });
    expect(recorded.count({ operation: 'put' })).toBe(0);
  });

  test('trees that no index lists any more are stored again', async () => {
    const source = await makeSource();
    const backend = new MemoryBackend();
    const first = await copyTo(backend, source);
    for (const key of [...keysOf(backend, 'index'), ...keysOf(backend, 'pack')]) lose(backend, key);
    const result = await copyTo(backend, source);
    expect(result).toMatchObject({ complaints: [], healed: first.copied });
    await expectSound(backend);
  });

  test('what other snapshots may need is told of, and is no success', async () => {
    const source = await makeSource();
    const backend = new MemoryBackend();
    const first = await copyTo(backend, source);
    for (const key of keysOf(backend, 'pack')) lose(backend, key);
    const [one] = source.snapshots;
    const result = await copyTo(backend, { ...source, snapshots: [one] });
    expect(result).toMatchObject({ failed: [], healed: [{ source: one.id }] });
    expect(result.complaints).toEqual([
      expect.stringMatching(
        /packs of the destination are lost, and not all .*\(packs: 2, blobs: \d+\)/,
      ),
    ]);
    expect(result.healedBlobCount).toBeLessThan(first.blobCount);
  });

  test('lost packs that held nothing of the snapshots do not count as healed', async () => {
    const source = await makeSource();
    const [one, two, three] = source.snapshots;
    const backend = new MemoryBackend();
    await copyTo(backend, { ...source, snapshots: [three] });
    const before = keysOf(backend, 'pack');
    await copyTo(backend, { ...source, snapshots: [one, two] });
    for (const key of keysOf(backend, 'pack')) if (!before.includes(key)) lose(backend, key);
    const result = await copyTo(backend, { ...source, snapshots: [three] });
    expect(result).toMatchObject({ skipped: [three.id], healed: [], blobCount: 0 });
    expect(result.complaints).toHaveLength(1);
  });

  test('what the source has lost as well is named, and its copy is not called whole', async () => {
    const source = await makeSource();
    const backend = new MemoryBackend();
    await copyTo(backend, source);
    for (const key of keysOf(backend, 'pack')) lose(backend, key);
    await damage(source, 'data', hashOf(a));
    const result = await copyTo(backend, source);
    const [one, two, three] = source.snapshots;
    expect(result.failed).toEqual([one.id, two.id]);
    expect(result.healed.map((each) => each.source)).toEqual([three.id]);
    expect(result.complaints.join('\n')).toMatch(/its copy [0-9a-f]{8} lacks what was lost/);
    // All but the damaged blob.
    const { index } = await source.maker.indexed();
    expect(result.healedBlobCount).toBe(index.blobCount - 1);
  });

  test('what is marked as to be deleted is sent again', async () => {
    const source = await makeSource();
    const backend = await copiedOnce(source);
    const marked = keysOf(backend, 'pack');
    await prune(backend, { masterKey: targetKey });
    await copyTo(backend, source);
    for (const key of marked) backend.files.delete(key);
    await expectReadable(backend, source);
  });
});

describe('damage in the source', () => {
  test('a damaged blob: its snapshots are named and left out, the others are copied', async () => {
    const source = await makeSource();
    // The first two hold it.
    await damage(source, 'data', hashOf(a));
    const backend = new MemoryBackend();
    const result = await copyTo(backend, source);
    const [first, second, third] = source.snapshots.map(({ id }) => id);
    expect(result.failed).toEqual([first, second]);
    expect(result.copied.map((each) => each.source)).toEqual([third]);
    expect(result.complaints.map((line) => line.replace(/[0-9a-f]{64}/g, 'ID'))).toEqual([
      `${first?.slice(0, 8)}:/ab: a data blob is damaged: stored data does not authenticate (blob: ID)`,
      'snapshot ID: it cannot be read whole and was not copied',
      `${second?.slice(0, 8)}:/abc: a data blob is damaged: stored data does not authenticate (blob: ID)`,
      'snapshot ID: it cannot be read whole and was not copied',
    ]);
    expect(await expectSound(backend)).toHaveLength(1);
    // The next run finds the rest there.
    const again = await copyTo(backend, source);
    expect(again).toMatchObject({ failed: [first, second], copied: [], blobCount: 0 });
  });

  test('a damaged tree: also snapshots that share it are left out', async () => {
    const source = await makeSource();
    const { maker } = source;
    const root = Buffer.from(source.snapshots[0].tree, 'hex');
    const shared = [...(await (await maker.indexed()).loadTree(root))].at(1);
    await damage(source, 'tree', shared?.subtree ?? root);
    const backend = new MemoryBackend();
    const result = await copyTo(backend, source);
    expect(result.failed).toHaveLength(2);
    expect(result.complaints.join('\n')).toMatch(/:\/shared.*a tree blob is damaged/);
    expect(await expectSound(backend)).toHaveLength(1);
  });

  test('a pack that is gone', async () => {
    const source = await makeSource();
    const data = source.maker.packs.at(0);
    source.maker.backend.files.delete(memoryKey({ type: 'pack', name: data?.id ?? '' }));
    const backend = new MemoryBackend();
    const result = await copyTo(backend, source);
    expect(result.failed).toHaveLength(3);
    expect(result.complaints.join('\n')).toMatch(/:\/only: .*cannot be read from any pack/);
    expect(await expectSound(backend)).toEqual([]);
  });

  test('a blob that no index lists', async () => {
    const source = await makeSource();
    const { maker } = source;
    const lost = maker.node('lost', madeOfPieces([noise(100, 77)]));
    // The tree is stored, its data is not.
    const tree = maker.tree([{ ...lost, content: new Uint8Array(32).fill(5) }]);
    const broken = await maker.snapshot(tree);
    const backend = new MemoryBackend();
    const snapshots = [broken, ...source.snapshots];
    const result = await copyTo(backend, { ...source, snapshots });
    expect(result.failed).toEqual([broken.id]);
    expect(result.complaints[0]).toMatch(/:\/lost: a blob is not in the index/);
    expect(await expectSound(backend)).toHaveLength(3);
  });
});
