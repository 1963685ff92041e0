import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { systemEnvironment as environment } from '../base/environment.ts';
import { idBytes } from '../repository/id.ts';
import { flipBit, testRepository } from '../repository/index-test-support.ts';
import { loadIndex } from '../repository/index-load.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import type { FinishedPack } from '../repository/pack.ts';
import type { Repository } from '../repository/repository.ts';
import { openFileSource } from '../sources/files/open-file-source.ts';
import { fault } from '../storage/fault.ts';
import { MemoryBackend, type MemoryFiles } from '../storage/memory/memory-backend.ts';
import { madeOfPieces, noise, SnapshotMaker, testFolder } from './engine-test-support.ts';
import type { BlobSources } from './repair/heal-blobs.ts';
import { hearRepair, stopEverywhere } from './repair/repair-test-support.ts';
import { type PackRepairResult, repairPacks } from './repair-packs.ts';

const pieces = [1, 2, 3, 4].map((seed) => noise(3_000, seed));
const [first = noise(1, 1), second = first, third = first, fourth = first] = pieces;
const folder = testFolder();
afterAll(() => folder.remove());

let maker: SnapshotMaker;
let files: MemoryFiles;
let data: FinishedPack;
let trees: FinishedPack;
let kept: Map<string, Uint8Array>;

beforeEach(async () => {
  maker = await madeSnapshot();
  files = maker.backend.files;
  const [one, two] = maker.packs;
  if (!one || !two) throw new Error('the snapshot has two packs');
  data = one;
  trees = two;
  kept = new Map();
});

async function madeSnapshot(): Promise<SnapshotMaker> {
  const made = new SnapshotMaker();
  await made.snapshotOf({
    left: madeOfPieces([first, second]),
    deep: { right: madeOfPieces([third]) },
    same: madeOfPieces([second, fourth]),
  });
  return made;
}

function damage(pack: FinishedPack, at: number): void {
  const bytes = files.get(`pack/${pack.id}`);
  if (bytes) flipBit(bytes, 8 * at);
}

async function keep(id: string, bytes: Uint8Array): Promise<string> {
  kept.set(id, bytes.slice());
  return `kept ${id}`;
}

function repair(
  packs: readonly FinishedPack[],
  sources: BlobSources = {},
  repository: Repository = maker.repository,
): Promise<PackRepairResult> {
  const request = { packs: packs.map(({ id }) => id), sources, keep };
  return repairPacks(repository, request, hearRepair().context);
}

function noRoom(): Promise<string> {
  return Promise.reject(new Error('no room'));
}

/** Which of the pieces, and whether all trees, can be loaded: `1.34 trees` where the second piece cannot. */
async function whatIsThere(of: MemoryFiles = files): Promise<string> {
  const repository = testRepository({ backend: new MemoryBackend(of) });
  const indexed = new IndexedRepository(repository, await loadIndex(repository));
  const can = async (type: 'data' | 'tree', id: Uint8Array): Promise<boolean> =>
    indexed.loadBlob(type, id).then(
      () => true,
      () => false,
    );
  let text = '';
  for (const [i, blob] of [...data.blobs.iterate()].entries()) {
    text += (await can('data', blob.id)) ? String(i + 1) : '.';
  }
  const all = await Promise.all([...trees.blobs.iterate()].map(({ id }) => can('tree', id)));
  return all.every(Boolean) ? `${text} trees` : text;
}

describe('repair of packs', () => {
  test('leaves a pack alone that is whole', async () => {
    const before = [...files.keys()];
    expect(await repair([data])).toMatchObject({ wholePacks: [data.id], newPacks: [] });
    expect([...files.keys()]).toEqual(before);
  });

  test('saves what can be read, keeps the bytes, and names what is lost', async () => {
    damage(data, 3_000 + 100);
    const damaged = files.get(`pack/${data.id}`);
    const result = await repair([data]);
    expect(result).toMatchObject({ salvagedCount: 3, healedCount: 0, lostCount: 1 });
    expect(result.removedPacks).toEqual([{ id: data.id, keptAt: `kept ${data.id}` }]);
    expect(result.affectedFiles.map((file) => file.path).toSorted()).toEqual(['/left', '/same']);
    expect(kept.get(data.id)).toEqual(damaged);
    expect(files.has(`pack/${data.id}`)).toBe(false);
    expect(await whatIsThere()).toBe('1.34 trees');
  });

  test('saves all blobs of a pack whose header alone is damaged', async () => {
    damage(trees, trees.bytes.byteLength - 20);
    expect(await repair([trees])).toMatchObject({ lostCount: 0 });
    expect(await whatIsThere()).toBe('1234 trees');
  });

  test('saves what its own header says of a pack that no index lists', async () => {
    for (const key of files.keys()) if (key.startsWith('index/')) files.delete(key);
    damage(data, 100);
    expect(await repair([data])).toMatchObject({ salvagedCount: 3, lostCount: 1 });
    expect(await whatIsThere()).toBe('.234');
  });

  test('takes a pack out of every index file that it has read', async () => {
    damage(data, 100);
    const backend = fault(maker.backend, [
      { operation: 'list', type: 'index', call: 2, fault: { kind: 'hidden', name: () => true } },
    ]);
    await repair([data], {}, testRepository({ backend }));
    expect(backend.faultCount).toBe(1);
    const index = await loadIndex(maker.repository);
    expect(index.findPack(idBytes(data.id))).toBe(-1);
  });

  test('takes a pack out of the index that is gone', async () => {
    files.delete(`pack/${data.id}`);
    const result = await repair([data]);
    expect(result.removedPacks).toEqual([{ id: data.id, keptAt: undefined }]);
    expect(result.affectedFiles.map((file) => file.path).toSorted()).toEqual([
      '/deep/right',
      '/left',
      '/same',
    ]);
    await expect(repair([data])).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('counts as lost what only another pack lists that is gone', async () => {
    await maker.snapshotOf({ more: madeOfPieces([first]) });
    const copy = maker.packs.at(-2);
    files.delete(`pack/${copy?.id ?? ''}`);
    damage(data, 100);
    const result = await repair([data]);
    expect(result).toMatchObject({ lostCount: 1 });
    expect(result.affectedFiles.map((file) => file.path).toSorted()).toEqual(['/left', '/more']);
  });

  test('takes lost blobs from a second repository', async () => {
    const other = await (await madeSnapshot()).indexed();
    damage(data, 100);
    damage(trees, 100);
    const result = await repair([data, trees], { repository: other });
    expect(result).toMatchObject({ healedCount: 2, lostCount: 0, affectedFiles: [] });
    expect(await whatIsThere()).toBe('1234 trees');
  });

  test('takes lost blobs from files', async () => {
    // In one piece, as a backup cuts a small file.
    maker = new SnapshotMaker();
    files = maker.backend.files;
    await maker.snapshotOf({ one: first, two: second });
    data = maker.packs[0] ?? data;
    trees = maker.packs[1] ?? trees;
    const place = folder.fresh();
    mkdirSync(path.join(place, 'below'), { recursive: true });
    writeFileSync(path.join(place, 'below/renamed'), second);
    damage(data, 100);
    damage(data, 3_200);
    const source = await openFileSource([place], { environment });
    const result = await repair([data], { files: source });
    source.close();
    expect(result).toMatchObject({ healedCount: 1, lostCount: 1 });
    expect(result.affectedFiles.map((file) => file.path)).toEqual(['/one']);
    expect(await whatIsThere()).toBe('.2 trees');
  });

  test('tells once of a snapshot that cannot be read', async () => {
    files.set(`snapshot/${'ab'.repeat(32)}`, Buffer.from('no snapshot'));
    damage(data, 100);
    const place = folder.fresh();
    mkdirSync(place, { recursive: true });
    const source = await openFileSource([place], { environment });
    const { complaints, context } = hearRepair();
    const request = { packs: [data.id], sources: { files: source }, keep };
    const result = await repairPacks(maker.repository, request, context);
    source.close();
    expect(result.lostCount).toBe(1);
    expect(complaints.filter((text) => text.startsWith('snapshot '))).toHaveLength(1);
  });

  test('keeps a pack that cannot be read just now', async () => {
    const broken = { kind: 'error', code: 'BACKEND_READ_FAILED' } as const;
    const rule = { operation: 'get', type: 'pack', count: Infinity, fault: broken } as const;
    const backend = fault(new MemoryBackend(files), [rule]);
    const result = await repair([data], {}, testRepository({ backend }));
    expect(result).toMatchObject({ unreadPacks: [data.id], removedPacks: [] });
    expect(await whatIsThere()).toBe('1234 trees');
  });

  test('changes nothing if the damaged bytes cannot be kept', async () => {
    damage(data, 100);
    const before = [...files.keys()];
    const request = { packs: [data.id], sources: {}, keep: noRoom };
    await expect(repairPacks(maker.repository, request, hearRepair().context)).rejects.toThrow(
      'no room',
    );
    expect([...files.keys()]).toEqual(before);
  });

  test('loses nothing wherever it is stopped, and goes on', async () => {
    damage(data, 3_100);
    damage(trees, 100);
    const before = await whatIsThere();
    const stops = await stopEverywhere(
      files,
      (repository) => repair([data, trees], {}, repository),
      async (left, stop) => {
        expect(await whatIsThere(left), stop).toBe(before);
        const there = [data, trees].filter(({ id }) => left.has(`pack/${id}`));
        if (there.length > 0) {
          await repair(there, {}, testRepository({ backend: new MemoryBackend(left) }));
        }
        expect(await whatIsThere(left), stop).toBe(before);
        for (const { id } of [data, trees]) expect(left.has(`pack/${id}`), stop).toBe(false);
      },
    );
    expect(stops).toBeGreaterThan(8);
  });
});
