import { describe, expect, test } from 'vitest';

import { systemEnvironment } from '../../base/environment.ts';
import { describeError, HoldfastError } from '../../base/errors.ts';
import { silentMonitor } from '../../base/monitor.ts';
import type { SealKey } from '../../kernels/seal.ts';
import type { BlobType } from '../../repository/blob.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import {
  contentOf,
  hashOf,
  indexedWith,
  storePack,
  testRepository,
  type TestRepositoryOptions,
} from '../../repository/index-test-support.ts';
import { loadIndex } from '../../repository/index-load.ts';
import { IndexWriter } from '../../repository/index-writer.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import { fault } from '../../storage/fault.ts';
import { memoryKey, MemoryBackend } from '../../storage/memory/memory-backend.ts';
import { check } from '../check.ts';
import { noise } from '../engine-test-support.ts';
import { transferBlobs, type TransferProgress, type TransferResult } from './transfer.ts';

const otherKey: SealKey = {
  encrypt: new Uint8Array(32).fill(7),
  macK: new Uint8Array(16).fill(8),
  macR: new Uint8Array(16).fill(9),
};

const first = contentOf(1, 5000);
const data = [first, noise(300_000, 2), contentOf(3, 70_000), new Uint8Array(0)];
const trees = [Buffer.from('{"nodes":[]}\n'), Buffer.from('{"nodes":[],"more":1}\n')];

interface Bed {
  readonly source: IndexedRepository;
  readonly sourceBackend: MemoryBackend;
}

/** A repository with a pack of each type. */
async function bed(options: TestRepositoryOptions = {}): Promise<Bed> {
  const sourceBackend = new MemoryBackend();
  const repository = testRepository({ ...options, backend: options.backend ?? sourceBackend });
  const packs = [
    await storePack(repository, 'data', data.slice(0, 2)),
    await storePack(repository, 'data', data.slice(2)),
    await storePack(repository, 'tree', trees),
  ];
  return { source: indexedWith(repository, packs), sourceBackend };
}

function emptyTarget(options: TestRepositoryOptions = {}): IndexedRepository {
  const repository = testRepository({ masterKey: otherKey, ...options });
  return new IndexedRepository(repository, BlobIndex.create());
}

const all = (indexed: IndexedRepository): number[] =>
  Array.from({ length: indexed.index.blobCount }, (_, entry) => entry);

interface Transferred extends TransferResult {
  readonly progress: readonly TransferProgress[];
}

async function transfer(
  source: IndexedRepository,
  indexed: IndexedRepository,
  how: { readonly wanted?: readonly number[]; readonly again?: boolean } = {},
): Promise<Transferred> {
  const writer = new IndexWriter(indexed.repository);
  const progress: TransferProgress[] = [];
  const result = await transferBlobs(
    {
      source,
      wanted: how.wanted ?? all(source),
      target: { indexed, writer },
      again: how.again ?? false,
    },
    {
      environment: systemEnvironment,
      monitor: { ...silentMonitor, transferProgress: (now) => progress.push(now) },
    },
  );
  await writer.flush();
  return { ...result, progress };
}

/** The repository as another process finds it. */
async function reopened({ repository }: IndexedRepository): Promise<IndexedRepository> {
  return new IndexedRepository(repository, await loadIndex(repository));
}

async function expectBlobs(indexed: IndexedRepository): Promise<void> {
  const load = (type: BlobType, bytes: Uint8Array): Promise<Uint8Array> =>
    indexed.loadBlob(type, hashOf(bytes));
  for (const bytes of data) expect(Buffer.compare(await load('data', bytes), bytes)).toBe(0);
  for (const bytes of trees) expect(Buffer.compare(await load('tree', bytes), bytes)).toBe(0);
  const monitor = { ...silentMonitor, phase: () => {}, progress: () => {} };
  const found = await check(
    indexed.repository,
    { readData: { kind: 'all' } },
    { environment: systemEnvironment, monitor },
  );
  expect(found).toMatchObject({ errorCount: 0 });
}

/** Flips a byte of the first blob of a pack. */
function damage({ source, sourceBackend }: Bed, pack: number): void {
  const name = Buffer.from(source.index.packId(pack)).toString('hex');
  const bytes = sourceBackend.files.get(memoryKey({ type: 'pack', name }))!;
  bytes[20] = (bytes[20] ?? 0) ^ 4;
}

describe('to another repository', () => {
  const versions = [1, 2] as const;
  test.each(versions.flatMap((from) => versions.map((to) => ({ from, to }))))(
    'everything arrives: version $from to $to',
    async ({ from, to }) => {
      const { source } = await bed({ version: from });
      const target = emptyTarget({ version: to });
      const result = await transfer(source, target);
      expect(result).toMatchObject({ blobCount: 6, failed: [] });
      expect(result.plainSizeBytes).toBe(375_000 + 13 + 22);
      const stored = await reopened(target);
      await expectBlobs(stored);
      expect(stored.index.blobCount).toBe(6);
      expect(stored.index.packCount).toBe(result.packs.length);
      expect(result.progress.at(-1)).toMatchObject({ blobsDone: 6, blobsTotal: 6 });
      const { bytesDone, bytesTotal } = result.progress.at(-1)!;
      expect(bytesDone).toBe(bytesTotal);
    },
  );

  test('what the target has is neither read nor stored', async () => {
    const { source, sourceBackend } = await bed();
    const target = emptyTarget();
    await transfer(source, target, { wanted: all(source).slice(0, 4) });
    for (const key of sourceBackend.files.keys()) {
      if (key.startsWith('pack')) sourceBackend.files.delete(key);
    }
    const again = await transfer(source, target, { wanted: all(source).slice(0, 4) });
    expect(again).toMatchObject({ blobCount: 0, packs: [], failed: [] });
    expect(target.index.blobCount).toBe(4);
  });

  test('a blob that is wanted twice is stored once', async () => {
    const { source } = await bed();
    const target = emptyTarget();
    const result = await transfer(source, target, { wanted: [0, 1, 0, 1] });
    expect(result.blobCount).toBe(2);
  });
});

describe('with threads', () => {
  const many = Array.from({ length: 12 }, (_, i) =>
    i % 2 === 0 ? noise(1_500_000, i + 1) : contentOf(i, 1_500_000),
  );

  async function largeSource(options: TestRepositoryOptions = {}): Promise<Bed> {
    const sourceBackend = new MemoryBackend();
    const repository = testRepository({ ...options, backend: sourceBackend });
    const packs = [
      await storePack(repository, 'data', many.slice(0, 6)),
      await storePack(repository, 'data', many.slice(6)),
      await storePack(repository, 'tree', trees),
    ];
    return { source: indexedWith(repository, packs), sourceBackend };
  }

  const cases = [
    { to: 'another', again: false },
    { to: 'the same', again: true },
  ] as const;
  test.each(cases)('everything arrives, and what is damaged is named: $to', async (how) => {
    const made = await largeSource();
    damage(made, 1);
    const target = how.to === 'another' ? emptyTarget() : made.source;
    const before = made.source.index.packCount;
    const result = await transfer(made.source, target, { again: how.again });
    expect(result.failed.map(({ entry }) => entry)).toEqual([6]);
    expect(result.blobCount).toBe(13);
    const stored = await reopened(target);
    expect(stored.index.packCount).toBe(result.packs.length);
    if (how.to === 'the same') expect(target.index.packCount).toBe(before + result.packs.length);
    for (const [i, bytes] of many.entries()) {
      if (i === 6) continue;
      const loaded = await stored.loadBlob('data', hashOf(bytes));
      expect(Buffer.compare(loaded, bytes)).toBe(0);
    }
  });

  test('a storage that fails ends the transfer', async () => {
    const { source } = await largeSource();
    const backend = fault(new MemoryBackend(), [
      { operation: 'put', type: 'pack', fault: { kind: 'error', code: 'STORAGE_FULL' } },
    ]);
    await expect(transfer(source, emptyTarget({ backend }))).rejects.toMatchObject({
      code: 'STORAGE_FULL',
    });
  });

  test('an interrupt keeps what was stored', async () => {
    const { source } = await largeSource();
    const backend = new MemoryBackend();
    const repository = testRepository({ backend, masterKey: otherKey });
    const indexed = new IndexedRepository(repository, BlobIndex.create());
    const interrupt = new AbortController();
    const writer = new IndexWriter(repository);
    const monitor = { ...silentMonitor, transferProgress: () => interrupt.abort() };
    const request = { source, wanted: all(source), target: { indexed, writer }, again: false };
    const context = { environment: systemEnvironment, monitor, signal: interrupt.signal };
    await expect(transferBlobs(request, context)).rejects.toMatchObject({ code: 'CANCELLED' });
    const { index } = await reopened(indexed);
    const packs = [...backend.files.keys()].filter((key) => key.startsWith('pack'));
    expect(index.packCount).toBe(packs.length);
  });
});

describe('what a stored form becomes', () => {
  const settings = [
    { from: 'auto', to: 'off', isCompressed: false },
    { from: 'off', to: 'auto', isCompressed: true },
    { from: 'auto', to: 'auto', isCompressed: true },
    { from: 'fastest', to: 'max', isCompressed: true },
  ] as const;
  test.each(settings)('compression $from to $to', async ({ from, to, isCompressed }) => {
    const { source } = await bed({ compression: from });
    const target = emptyTarget({ compression: to });
    await transfer(source, target);
    const stored = await reopened(target);
    await expectBlobs(stored);
    const { index } = stored;
    const entry = index.find('data', hashOf(first));
    expect(index.uncompressedLengthOf(entry) > 0).toBe(isCompressed);
    const before = source.index.lengthOf(source.index.find('data', hashOf(first)));

    if (from === to) expect(index.lengthOf(entry)).toBe(before);
    if (to === 'max') expect(index.lengthOf(entry)).not.toBe(before);
  });

  test('within one repository the sealed bytes stay as they are', async () => {
    const { source, sourceBackend } = await bed();
    const bytesOf = (indexed: IndexedRepository, entry: number): string => {
      const name = Buffer.from(indexed.index.packId(indexed.index.packOf(entry))).toString('hex');
      const pack = sourceBackend.files.get(memoryKey({ type: 'pack', name })) ?? new Uint8Array();
      const start = indexed.index.offsetOf(entry);
      return Buffer.from(pack.slice(start, start + indexed.index.lengthOf(entry))).toString('hex');
    };
    const before = bytesOf(source, 0);
    await transfer(source, source, { wanted: [0], again: true });
    const stored = await reopened(source);
    expect(bytesOf(stored, 0)).toBe(before);
  });
});

describe('within one repository', () => {
  test('what is there is stored once more, in packs of its own', async () => {
    const { source, sourceBackend } = await bed();
    const before = new Set(sourceBackend.files.keys());
    const result = await transfer(source, source, { wanted: [0, 2, 4], again: true });
    expect(result).toMatchObject({ blobCount: 3, failed: [] });
    expect(result.packs).toHaveLength(2);
    const stored = await reopened(source);
    for (const entry of [0, 2, 4]) {
      expect(
        stored.index.findAll(source.index.typeOf(entry), source.index.idOf(entry)).length,
      ).toBe(1);
    }
    for (const name of before) expect(sourceBackend.files.has(name)).toBe(true);
  });

  test('nothing happens without `again`', async () => {
    const { source, sourceBackend } = await bed();
    const before = sourceBackend.files.size;
    const result = await transfer(source, source);
    expect(result).toMatchObject({ blobCount: 0, packs: [] });
    expect(sourceBackend.files.size).toBe(before);
  });
});

describe('trouble', () => {
  test('a damaged blob is named and not stored; the rest is', async () => {
    const made = await bed();
    damage(made, 0);
    const target = emptyTarget();
    const result = await transfer(made.source, target);
    expect(result.blobCount).toBe(5);
    expect(result.failed.map(({ entry }) => entry)).toEqual([0]);
    expect(describeError(result.failed[0]?.error)).toContain('a data blob is damaged');
    expect(target.index.find('data', hashOf(first))).toBe(-1);
    expect(result.progress.at(-1)?.blobsDone).toBe(6);
  });

  test('a damaged blob is taken from another pack that has it', async () => {
    const made = await bed();
    const copy = await storePack(made.source.repository, 'data', [first, noise(10, 9)]);
    const pack = made.source.index.addPack(Buffer.from(copy.id, 'hex'));
    for (const blob of copy.blobs.iterate()) {
      made.source.index.insert(blob.type, blob.id, { ...blob, pack });
    }
    damage(made, 0);
    const target = emptyTarget();
    const result = await transfer(made.source, target, { wanted: [0, 1, 2, 3, 4, 5] });
    expect(result).toMatchObject({ blobCount: 6, failed: [] });
    await expectBlobs(await reopened(target));
  });

  test('packs that are gone fail blob by blob', async () => {
    const made = await bed();
    const name = Buffer.from(made.source.index.packId(1)).toString('hex');
    made.sourceBackend.files.delete(memoryKey({ type: 'pack', name }));
    const result = await transfer(made.source, emptyTarget());
    expect(result.failed.map(({ entry }) => entry)).toEqual([2, 3]);
    expect(result.blobCount).toBe(4);
  });

  test('a pack that the storage lost ends the transfer, and no index lists it', async () => {
    const { source } = await bed();
    const backend = new MemoryBackend();
    const faulty = fault(backend, [{ operation: 'put', type: 'pack', fault: { kind: 'lost' } }]);
    await expect(transfer(source, emptyTarget({ backend: faulty }))).rejects.toMatchObject({
      code: 'BACKEND_WRITE_FAILED',
    });
    expect([...backend.files.keys()].filter((key) => key.startsWith('index'))).toEqual([]);
  });

  test('who slept past his lock is told so, and not that the storage lost a pack', async () => {
    const { source } = await bed();
    const rule = { operation: 'put', type: 'pack', fault: { kind: 'lost' } } as const;
    const target = emptyTarget({ backend: fault(new MemoryBackend(), [rule]) });
    target.repository.addWriteGuard((isSure) =>
      isSure ? Promise.reject(new HoldfastError('LOCK_LOST')) : undefined,
    );
    await expect(transfer(source, target)).rejects.toMatchObject({ code: 'LOCK_LOST' });
  });

  test('so is he who came back and may go on, but whose pack was removed', async () => {
    const { source } = await bed();
    const rule = { operation: 'put', type: 'pack', fault: { kind: 'lost' } } as const;
    const target = emptyTarget({ backend: fault(new MemoryBackend(), [rule]) });
    const { absences } = target.repository;
    target.repository.addWriteGuard((isSure) =>
      isSure ? absences.check(new AbortController().signal) : undefined,
    );
    await expect(transfer(source, target)).rejects.toMatchObject({
      code: 'LOCK_LOST',
      message: expect.stringMatching(/removed as left behind/),
    });
  });

  test('a source that does not answer ends the transfer', async () => {
    const sourceBackend = new MemoryBackend();
    const rule = { operation: 'get', type: 'pack', count: Number.POSITIVE_INFINITY } as const;
    const faulty = fault(sourceBackend, [
      { ...rule, fault: { kind: 'error', code: 'BACKEND_UNAVAILABLE' } },
    ]);
    const { source } = await bed({ backend: faulty });
    await expect(transfer(source, emptyTarget())).rejects.toMatchObject({
      code: 'BACKEND_UNAVAILABLE',
    });
  });
});
