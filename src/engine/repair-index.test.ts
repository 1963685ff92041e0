import { beforeEach, describe, expect, test } from 'vitest';
import { defined } from '../base/assert.ts';
import {
  contentOf,
  dumpIndex,
  flipBit,
  indexText,
  saveIndex,
  storePack,
  testRepository,
} from '../repository/index-test-support.ts';
import { loadIndex } from '../repository/index-load.ts';
import { encodeIndex, type IndexedPack } from '../repository/index-file.ts';
import type { FinishedPack } from '../repository/pack.ts';
import { PackedBlobs } from '../repository/pack.ts';
import type { Repository } from '../repository/repository.ts';
import { fault } from '../storage/fault.ts';
import { MemoryBackend, type MemoryFiles } from '../storage/memory/memory-backend.ts';
import { record } from '../storage/record.ts';
import {
  executeIndexRepair,
  type IndexRepairResult,
  planIndexRepair,
  type ReadsWhole,
} from './repair-index.ts';
import { loadIndexListing } from './repair/index-listing.ts';
import { copyFiles, hearRepair, stopEverywhere } from './repair/repair-test-support.ts';

let files: MemoryFiles;
let repository: Repository;
let packs: FinishedPack[];

beforeEach(async () => {
  files = new Map();
  repository = testRepository({ backend: new MemoryBackend(files) });
  packs = [];
  for (let number = 0; number < 4; number++) {
    const contents = [0, 1, 2].map((blob) => contentOf(10 * number + blob, 500 + 100 * blob));
    packs.push(await storePack(repository, number === 3 ? 'tree' : 'data', contents));
  }
});

function packOf(number: number): FinishedPack {
  return defined(packs[number], 'there are four packs');
}

function listed(...numbers: readonly number[]): IndexedPack[] {
  return numbers.map((number) => listingOf(packOf(number)));
}

function listingOf({ id, blobs }: FinishedPack, from = 0): IndexedPack {
  const kept = [...blobs.iterate()].slice(from);
  return { id: Buffer.from(id, 'hex'), blobs: PackedBlobs.from(kept) };
}

async function repair(
  of: Repository = repository,
  readAllPacks = false,
  readsWhole: ReadsWhole = 'left',
): Promise<IndexRepairResult & { readonly complaints: readonly string[] }> {
  const { context, complaints } = hearRepair();
  const plan = await planIndexRepair(of, { readAllPacks, readsWhole }, context);
  return { ...(await executeIndexRepair(of, plan, context)), complaints };
}

async function indexNow(of: MemoryFiles = files): Promise<string[]> {
  return dumpIndex(await loadIndex(testRepository({ backend: new MemoryBackend(of) })));
}

function packKey(number: number): string {
  return `pack/${packOf(number).id}`;
}

describe('repair of the index', () => {
  test('changes nothing where nothing is wrong', async () => {
    await saveIndex(repository, listed(0, 1));
    await saveIndex(repository, listed(2, 3));
    const before = [...files.keys()];
    expect(await repair()).toMatchObject({ addedPacks: [], droppedPacks: [], newIndexFiles: [] });
    expect(await repair(repository, true)).toMatchObject({ addedPacks: [], newIndexFiles: [] });
    expect([...files.keys()]).toEqual(before);
  });

  test('makes an index from the headers alone', async () => {
    const result = await repair();
    expect(result.addedPacks.toSorted()).toEqual(packs.map(({ id }) => id).toSorted());
    expect(await indexNow()).toEqual(indexText(listed(0, 1, 2, 3)));
  });

  test('enters packs that no file lists, and reads no other', async () => {
    await saveIndex(repository, listed(0, 1));
    const backend = record(new MemoryBackend(files));
    await repair(testRepository({ backend }));
    expect(await indexNow()).toEqual(indexText(listed(0, 1, 2, 3)));
    expect(
      backend.calls.filter(({ type, operation }) => type === 'pack' && operation === 'get'),
    ).toHaveLength(2);
    expect(backend.count({ operation: 'remove' })).toBe(0);
  });

  test('leaves out packs that are gone', async () => {
    await saveIndex(repository, listed(0, 1));
    await saveIndex(repository, listed(2, 3));
    files.delete(packKey(1));
    expect((await repair()).droppedPacks).toEqual([packOf(1).id]);
    expect(await indexNow()).toEqual(indexText(listed(0, 2, 3)));
  });

  test('does not believe a listing that lacks a pack', async () => {
    await saveIndex(repository, listed(0, 1, 2, 3));
    const hidden = { kind: 'hidden', name: () => true } as const;
    const backend = fault(new MemoryBackend(files), [
      { operation: 'list', type: 'pack', fault: hidden },
    ]);
    expect((await repair(testRepository({ backend }))).droppedPacks).toEqual([]);
    expect(backend.faultCount).toBe(1);
    expect(await indexNow()).toEqual(indexText(listed(0, 1, 2, 3)));
  });

  test('refuses when all packs are gone', async () => {
    await saveIndex(repository, listed(0, 1, 2, 3));
    for (const key of files.keys()) if (key.startsWith('pack/')) files.delete(key);
    await expect(repair()).rejects.toMatchObject({ code: 'PACK_DAMAGED' });
    expect((await repair(repository, true)).droppedPacks).toHaveLength(4);
  });

  test('replaces damaged index files', async () => {
    const damaged = await saveIndex(repository, listed(0, 1));
    await saveIndex(repository, listed(2, 3));
    flipBit(defined(files.get(`index/${damaged}`), 'it is there'), 200);
    const { complaints, removedDamagedFiles } = await repair();
    expect(removedDamagedFiles).toEqual([damaged]);
    expect(complaints).toHaveLength(1);
    expect(await indexNow()).toEqual(indexText(listed(0, 1, 2, 3)));
  });

  test('does not take a file for damaged that cannot be read just now', async () => {
    await saveIndex(repository, listed(0, 1));
    const broken = { kind: 'error', code: 'BACKEND_READ_FAILED' } as const;
    const rule = { operation: 'get', type: 'index', count: Infinity, fault: broken } as const;
    const backend = fault(new MemoryBackend(files), [rule]);
    await expect(repair(testRepository({ backend }))).rejects.toMatchObject({
      code: 'BACKEND_READ_FAILED',
    });
    expect(await indexNow()).toEqual(indexText(listed(0, 1)));
  });

  test('believes the header where index files differ', async () => {
    await saveIndex(repository, [listingOf(packOf(0), 1)]);
    await saveIndex(repository, listed(0, 1, 2, 3));
    await repair();
    expect(await indexNow()).toEqual(indexText(listed(0, 1, 2, 3)));
    expect([...files.keys()].filter((key) => key.startsWith('index/'))).toHaveLength(1);
  });

  test('keeps listed what can be read of a truncated pack', async () => {
    await saveIndex(repository, listed(0, 1, 2, 3));
    const first = packOf(0).blobs.at(0);
    files.set(
      packKey(0),
      defined(files.get(packKey(0)), 'it is there').slice(0, first.length + 10),
    );
    const result = await repair();
    expect(result.damagedPacks).toEqual([packOf(0).id]);
    const left = { id: Buffer.from(packOf(0).id, 'hex'), blobs: PackedBlobs.from([first]) };
    expect(await indexNow()).toEqual(indexText([left, ...listed(1, 2, 3)]));
    const before = [...files.keys()];
    expect((await repair()).damagedPacks).toEqual([packOf(0).id]);
    expect([...files.keys()]).toEqual(before);
  });

  test('leaves out a pack of which nothing can be read', async () => {
    await saveIndex(repository, listed(0, 1, 2, 3));
    files.set(packKey(0), new Uint8Array(50));
    expect((await repair()).droppedPacks).toEqual([packOf(0).id]);
    expect(await indexNow()).toEqual(indexText(listed(1, 2, 3)));
  });

  test('leaves packs alone that a prune marked, unless it is told to read all', async () => {
    const mark = {
      time: undefined,
      sizeBytes: undefined,
      blobs: packOf(3).blobs,
      id: packOf(3).id,
    };
    await repository.saveUnpacked('index', encodeIndex(listed(0, 1, 2), [mark]));
    const before = [...files.keys()];
    await repair();
    expect([...files.keys()]).toEqual(before);
    expect((await repair(repository, true)).addedPacks).toEqual([packOf(3).id]);
    expect(await indexNow()).toEqual(indexText(listed(0, 1, 2, 3)));
  });

  test('keeps marks when it rewrites the file that they stand in', async () => {
    const mark = {
      time: undefined,
      sizeBytes: undefined,
      blobs: packOf(3).blobs,
      id: packOf(3).id,
    };
    await repository.saveUnpacked('index', encodeIndex(listed(0, 1, 2), [mark]));
    files.delete(packKey(0));
    await repair();
    expect(await indexNow()).toEqual(indexText(listed(1, 2)));
    const listing = await loadIndexListing(repository, hearRepair().context);
    expect([...listing.markedPacks]).toEqual([packOf(3).id]);
  });

  test('passes over what is no pack', async () => {
    await saveIndex(repository, listed(0, 1, 2, 3));
    files.set(`pack/${'ef'.repeat(32)}`, new Uint8Array(500));
    expect((await repair()).unreadablePacks).toEqual(['ef'.repeat(32)]);
    expect(await indexNow()).toEqual(indexText(listed(0, 1, 2, 3)));
  });

  test('loses nothing wherever it is stopped, and goes on', async () => {
    const damaged = await saveIndex(repository, listed(0));
    await saveIndex(repository, [listingOf(packOf(1), 2), ...listed(2)]);
    await saveIndex(repository, listed(1));
    flipBit(defined(files.get(`index/${damaged}`), 'it is there'), 300);
    const findable = indexText(listed(1, 2));
    const stops = await stopEverywhere(
      files,
      (stopped) => repair(stopped),
      async (left, stop) => {
        const again = copyFiles(left);
        const there = new Set(await readableIndex(left));
        for (const line of findable) expect(there, stop).toContain(line);
        await repair(testRepository({ backend: new MemoryBackend(again) }));
        expect(await indexNow(again), stop).toEqual(indexText(listed(0, 1, 2, 3)));
      },
    );
    expect(stops).toBeGreaterThan(5);
  });
});

/** The index as it can be loaded, damaged files left out. */
async function readableIndex(of: MemoryFiles): Promise<string[]> {
  const backend = new MemoryBackend(of);
  return dumpIndex(await loadIndex(testRepository({ backend }), { onProblem: () => {} }));
}

/** Damages the second of the three blobs of a pack. */
function damageWithin(number: number): void {
  const { offset } = packOf(number).blobs.at(1);
  flipBit(defined(files.get(packKey(number)), 'it is there'), 8 * (offset + 40));
}

function withoutSecond(number: number): IndexedPack {
  const { id, blobs } = packOf(number);
  return {
    id: Buffer.from(id, 'hex'),
    blobs: PackedBlobs.from([blobs.at(0), blobs.at(2)]),
  };
}

describe('a pack that no index file lists', () => {
  test('is read whole, and only what can be read is listed', async () => {
    await saveIndex(repository, listed(0, 1));
    damageWithin(2);
    const result = await repair();
    expect(result.addedPacks.toSorted()).toEqual([packOf(2).id, packOf(3).id].toSorted());
    expect(result).toMatchObject({ damagedPacks: [packOf(2).id], unreadCount: 0 });
    expect(result.lostBlobs).toEqual([{ pack: packOf(2).id, blob: packOf(2).blobs.at(1) }]);
    expect(result.complaints).toEqual([
      `pack ${packOf(2).id}: 1 of 3 blobs of a pack cannot be read`,
    ]);
    expect(await indexNow()).toEqual(indexText([...listed(0, 1, 3), withoutSecond(2)]));
    const before = [...files.keys()];
    expect(await repair()).toMatchObject({ addedPacks: [], damagedPacks: [packOf(2).id] });
    expect([...files.keys()]).toEqual(before);
  });

  test('is not listed if nothing of it can be read', async () => {
    await saveIndex(repository, listed(0, 1, 2));
    const bytes = defined(files.get(packKey(3)), 'it is there');
    for (const { offset } of packOf(3).blobs.iterate()) flipBit(bytes, 8 * (offset + 40));
    const result = await repair();
    expect(result).toMatchObject({ unreadablePacks: [packOf(3).id], damagedPacks: [] });
    expect(result.lostBlobs).toHaveLength(3);
    expect(await indexNow()).toEqual(indexText(listed(0, 1, 2)));
  });

  test('is not listed if what can be read of it is stored elsewhere, too', async () => {
    await saveIndex(repository, listed(0, 1));
    const copy = await storePack(repository, 'data', [contentOf(20, 500), contentOf(22, 700)]);
    const all = [...listed(0, 1, 3), listingOf(copy)];
    await saveIndex(repository, [listingOf(copy), ...listed(3)]);
    damageWithin(2);
    expect(await repair()).toMatchObject({
      addedPacks: [],
      damagedPacks: [],
      unreadablePacks: [packOf(2).id],
    });
    expect(await indexNow()).toEqual(indexText(all));
    // Unless that is missing itself.
    files.delete(`pack/${copy.id}`);
    expect(await repair()).toMatchObject({ damagedPacks: [packOf(2).id], unreadablePacks: [] });
    expect(await indexNow()).toEqual(indexText([...listed(0, 1, 3), withoutSecond(2)]));
  });

  test('is believed where the whole index is lost, unless all is to be read', async () => {
    damageWithin(2);
    const left = copyFiles(files);
    expect(await repair()).toMatchObject({ damagedPacks: [], unreadCount: 4, complaints: [] });
    expect(await indexNow()).toEqual(indexText(listed(0, 1, 2, 3)));
    const other = testRepository({ backend: new MemoryBackend(left) });
    const result = await repair(other, false, 'all');
    expect(result).toMatchObject({ damagedPacks: [packOf(2).id], unreadCount: 0 });
    expect(await indexNow(left)).toEqual(indexText([...listed(0, 1, 3), withoutSecond(2)]));
  });

  test('is believed where an index file is damaged, or if that is asked for', async () => {
    const damaged = await saveIndex(repository, listed(0, 1));
    await saveIndex(repository, listed(2));
    flipBit(defined(files.get(`index/${damaged}`), 'it is there'), 200);
    expect(await repair()).toMatchObject({ unreadCount: 3 });
    files.clear();
    for (const { id, bytes } of packs) files.set(`pack/${id}`, Uint8Array.from(bytes));
    await saveIndex(repository, listed(0, 1, 2));
    expect(await repair(repository, false, 'none')).toMatchObject({ unreadCount: 1 });
    expect(await indexNow()).toEqual(indexText(listed(0, 1, 2, 3)));
  });

  test('is listed as far as the storage can read it, and its rest once it can', async () => {
    await saveIndex(repository, listed(0, 1, 2));
    const broken = { kind: 'error', code: 'BACKEND_READ_FAILED' } as const;
    const reading = { operation: 'get', type: 'pack', fault: broken } as const;
    // All of it; and behind its header, three blobs at once and the first of them.
    const backend = fault(new MemoryBackend(files), [
      { ...reading, call: 1 },
      { ...reading, call: 3, count: 2 },
    ]);
    const result = await repair(testRepository({ backend }));
    expect(backend.faultCount).toBe(3);
    expect(result.lostBlobs.length).toBeGreaterThan(0);
    expect(await repair()).toMatchObject({ damagedPacks: [] });
    expect(await indexNow()).toEqual(indexText(listed(0, 1, 2, 3)));
  });
});

test('of a listed pack whose listing lacks some of it, only what can be read is added', async () => {
  await saveIndex(repository, [listingOf(packOf(0), 1), ...listed(1, 2, 3)]);
  flipBit(defined(files.get(packKey(0)), 'it is there'), 8 * 40);
  const result = await repair();
  expect(result).toMatchObject({ damagedPacks: [packOf(0).id], addedPacks: [] });
  expect(await indexNow()).toEqual(indexText([listingOf(packOf(0), 1), ...listed(1, 2, 3)]));
});
