import { describe, expect, test } from 'vitest';
import { defined } from '../base/assert.ts';
import { toHex } from '../base/bytes.ts';
import { fault } from '../storage/fault.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import { record } from '../storage/record.ts';
import { PackedBlobs } from './blob.ts';
import type { Id } from './id.ts';
import { encodeIndex, type IndexedPack } from './index-file.ts';
import { loadIndex } from './index-load.ts';
import { rewriteIndex } from './index-rewrite.ts';
import {
  dumpIndex,
  indexText,
  loadAllMarks,
  madeUpPacks,
  saveIndex,
  testRepository,
} from './index-test-support.ts';
import type { PackMark } from './pack-marks.ts';

const limits = { fullBlobCount: 20, oversizedBlobCount: 60 };
const noBlobs = new PackedBlobs(new Uint8Array(0));
const packAt = (packs: readonly IndexedPack[], at: number): IndexedPack =>
  defined(packs[at], 'there is such a pack');
const hexOf = ({ id }: IndexedPack): Id => toHex(id);
const markOf = (pack: IndexedPack, seconds = 1000): PackMark => ({
  id: hexOf(pack),
  blobs: pack.blobs,
  time: { seconds, nanoseconds: 5, offsetMinutes: 0 },
  sizeBytes: 77,
});

/** Index files that list these packs, each group in one. */
async function bed(...groups: (readonly IndexedPack[])[]) {
  const backend = new MemoryBackend();
  const repository = testRepository({ backend });
  const names: Id[] = [];
  for (const packs of groups) names.push(await saveIndex(repository, packs));
  const listed = async (): Promise<string[]> => dumpIndex(await loadIndex(repository));
  const marks = (): Promise<readonly PackMark[]> => loadAllMarks(repository);
  const files = (): Id[] =>
    [...backend.files.keys()].filter((key) => key.startsWith('index/')).map((key) => key.slice(6));
  return { backend, repository, names, listed, marks, files };
}

test('lists all but the removed packs, and what is added', async () => {
  const packs = madeUpPacks(0, 12, 4);
  const { repository, names, listed, files } = await bed(packs.slice(0, 4), packs.slice(4, 8));
  const removed = new Set([packAt(packs, 1), packAt(packs, 6)].map(hexOf));
  const result = await rewriteIndex(repository, { removed, added: packs.slice(8) });
  expect(await listed()).toEqual(indexText(packs.filter((pack) => !removed.has(hexOf(pack)))));
  expect(files()).toEqual(result.stored);
  expect(result.removed.toSorted()).toEqual(names.toSorted());
});

test('leaves alone what has nothing to change', async () => {
  const full = madeUpPacks(0, 5, 4);
  const small = madeUpPacks(5, 2, 4);
  const { backend, repository, names } = await bed(full, small);
  const recorded = record(backend);
  const other = testRepository({ backend: recorded });
  const nothing = { stored: [], removed: [] };
  expect(await rewriteIndex(other, {}, { limits })).toEqual(nothing);
  expect(await rewriteIndex(other, { removed: new Set(['0'.repeat(64)]) }, { limits })).toEqual(
    nothing,
  );
  expect(recorded.count({ operation: 'put' }) + recorded.count({ operation: 'remove' })).toBe(0);
  const change = { removed: new Set([hexOf(packAt(small, 0))]) };
  expect((await rewriteIndex(repository, change, { limits })).removed).toEqual([names[1]]);
});

test('joins small files, and cuts very large ones', async () => {
  const packs = madeUpPacks(0, 6, 4);
  const { repository, listed, files } = await bed(
    packs.slice(0, 2),
    packs.slice(2, 4),
    packs.slice(4),
  );
  await rewriteIndex(repository, { keepsSmall: true });
  expect(files()).toHaveLength(3);
  await rewriteIndex(repository, {});
  expect(files()).toHaveLength(1);
  expect(await listed()).toEqual(indexText(packs));
  const many = madeUpPacks(10, 20, 4);
  const large = await bed(many);
  await rewriteIndex(large.repository, {}, { limits });
  expect(large.files()).toHaveLength(4);
  expect(await large.listed()).toEqual(indexText(many));
});

test('of a pack that several files list one listing stays', async () => {
  const packs = madeUpPacks(0, 3, 4);
  const { repository, listed, files } = await bed(packs.slice(0, 2), packs.slice(1), packs);
  await rewriteIndex(repository, { keepsSmall: true });
  expect(await listed()).toEqual(indexText(packs));
  expect(files().length).toBeLessThan(3);
});

test('files that differ about a pack end it before anything is changed', async () => {
  const two = madeUpPacks(0, 2, 4);
  const first = packAt(two, 0);
  const second = packAt(two, 1);
  const { repository, files, names } = await bed([first], [{ id: first.id, blobs: second.blobs }]);
  const error = expect.objectContaining({ code: 'INDEX_DAMAGED' });
  await expect(rewriteIndex(repository, {})).rejects.toEqual(error);
  expect(files().toSorted()).toEqual(names.toSorted());
  // Who says what is right is believed.
  const change = { removed: new Set([hexOf(first)]), added: [first] };
  await rewriteIndex(repository, change);
  expect(dumpIndex(await loadIndex(repository))).toEqual(indexText([first]));
});

test('a file that cannot be read ends it, unless it is to be dropped', async () => {
  const packs = madeUpPacks(0, 4, 4);
  const { repository, files, listed } = await bed(packs.slice(0, 2));
  const bad = await repository.saveUnpacked('index', Buffer.from('{"packs":[{"id":5}]}'));
  const before = files();
  await expect(rewriteIndex(repository, { added: packs.slice(2) })).rejects.toEqual(
    expect.objectContaining({
      code: 'INDEX_DAMAGED',
      details: expect.objectContaining({ index: bad }),
    }),
  );
  expect(before.every((name) => files().includes(name))).toBe(true);
  await rewriteIndex(repository, { added: packs.slice(2), dropped: new Set([bad]) });
  expect(files()).not.toContain(bad);
  expect(await listed()).toEqual(indexText(packs));
});

describe('marks', () => {
  test('are added in a file of their own, and kept through rewrites', async () => {
    const packs = madeUpPacks(0, 6, 4);
    const { repository, marks, files, listed, names } = await bed(
      packs.slice(0, 3),
      packs.slice(3),
    );
    await rewriteIndex(repository, {
      marks: packs.slice(0, 2).map((p) => markOf(p)),
      keepsSmall: true,
    });
    expect(names.every((name) => files().includes(name))).toBe(true);
    expect(await marks()).toEqual(packs.slice(0, 2).map((p) => markOf(p)));
    expect(await listed()).toEqual(indexText(packs));
    await rewriteIndex(repository, {
      marks: [{ ...markOf(packAt(packs, 4)), blobs: noBlobs }],
      keepsSmall: true,
    });
    expect(files()).toHaveLength(3);
    const removed = new Set([hexOf(packAt(packs, 0))]);
    await rewriteIndex(repository, { removed });
    expect((await marks()).map(({ id }) => id).toSorted()).toEqual(
      [0, 1, 4].map((at) => hexOf(packAt(packs, at))).toSorted(),
    );
    await rewriteIndex(repository, { keepsMark: ({ id }) => !removed.has(id) });
    expect(await marks()).toHaveLength(2);
    await rewriteIndex(repository, { keepsMark: () => false });
    expect(await marks()).toHaveLength(0);
    expect(files()).toHaveLength(1);
  });

  test('that another program keeps beside packs are read and kept', async () => {
    const three = madeUpPacks(0, 3, 4);
    const [a, b, c] = [packAt(three, 0), packAt(three, 1), packAt(three, 2)] as const;
    const { repository, marks, listed } = await bed();
    const json = encodeIndex([a, b], [markOf(c)]);
    await repository.saveUnpacked('index', json);
    expect(await marks()).toEqual([markOf(c)]);
    await rewriteIndex(repository, { removed: new Set([hexOf(a)]) });
    expect(await marks()).toEqual([markOf(c)]);
    expect(await listed()).toEqual(indexText([b]));
  });

  test('the latest mark of a pack counts, and one without a time before all', async () => {
    const a = packAt(madeUpPacks(0, 1, 4), 0);
    const { repository, marks } = await bed();
    await rewriteIndex(repository, { marks: [markOf(a, 500)] });
    await rewriteIndex(repository, { marks: [markOf(a, 400)] });
    expect(await marks()).toEqual([markOf(a, 500)]);
    await rewriteIndex(repository, { marks: [{ ...markOf(a), time: undefined }] });
    expect((await marks())[0]?.time).toBeUndefined();
  });
});

describe('stopped at any call', () => {
  const packs = madeUpPacks(0, 8, 4);
  const change = {
    removed: new Set([hexOf(packAt(packs, 1)), hexOf(packAt(packs, 5))]),
    marks: [markOf(packAt(packs, 1))],
  };
  const kept = packs.filter((pack) => !change.removed.has(hexOf(pack)));

  test.each(['BACKEND_UNAVAILABLE', 'STORAGE_FULL'] as const)(
    'all that stays is listed at every instant, and the next run completes it: %s',
    async (code) => {
      let failures = 0;
      for (const operation of ['put', 'stat', 'remove', 'get', 'list'] as const) {
        for (let call = 1; ; call++) {
          const { backend, repository, listed, files } = await bed(
            packs.slice(0, 4),
            packs.slice(4),
          );
          const faulty = fault(backend, [
            { operation, type: 'index', call, fault: { kind: 'error', code } },
          ]);
          const error: unknown = await rewriteIndex(
            testRepository({ backend: faulty }),
            change,
          ).catch((e: unknown) => e);
          if (faulty.faultCount === 0) break;
          failures++;
          expect(error).toEqual(expect.objectContaining({ code }));
          const now = new Set(await listed());
          for (const line of indexText(kept)) expect(now).toContain(line);
          await rewriteIndex(repository, change);
          expect(await listed()).toEqual(indexText(kept));
          expect(files()).toHaveLength(2);
        }
      }
      expect(failures).toBeGreaterThan(8);
    },
  );

  test('when the storage is full nothing is left behind', async () => {
    const { backend, files } = await bed(packs.slice(0, 4), packs.slice(4));
    const before = files();
    const faulty = fault(backend, [
      { operation: 'put', call: 2, fault: { kind: 'error', code: 'STORAGE_FULL' } },
    ]);
    const run = rewriteIndex(testRepository({ backend: faulty }), change);
    await expect(run).rejects.toEqual(expect.objectContaining({ code: 'STORAGE_FULL' }));
    expect(files()).toEqual(before);
  });
});
