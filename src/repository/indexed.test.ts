import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { fault, type FaultRule } from '../storage/fault.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import { record } from '../storage/record.ts';
import { BlobIndex } from './blob-index.ts';
import { IndexedRepository, planPackReads } from './indexed.ts';
import {
  contentOf,
  flipBit,
  hashOf,
  idOf,
  indexedWith,
  storePack,
  testRepository,
} from './index-test-support.ts';
import type { FinishedPack } from './pack.ts';

const contents = Array.from({ length: 6 }, (_, i) => contentOf(i, 1000 + i));

function damaged(code: string): unknown {
  return expect.objectContaining({ code });
}

async function collect(
  indexed: IndexedRepository,
  pack: FinishedPack,
): Promise<(Uint8Array | string)[]> {
  const number = indexed.index.findPack(new Uint8Array(Buffer.from(pack.id, 'hex')));
  const entries = Array.from({ length: indexed.index.blobCount }, (_, i) => i).filter(
    (entry) => indexed.index.packOf(entry) === number,
  );
  const results: (Uint8Array | string)[] = [];
  for await (const loaded of indexed.loadBlobsOfPack(number, entries.toReversed())) {
    if ('bytes' in loaded) results.push(loaded.bytes);
    else results.push(String((loaded.error as { code?: string }).code));
  }
  return results;
}

describe('IndexedRepository', () => {
  it('loads blobs with one read each', async () => {
    const backend = record(new MemoryBackend());
    const repository = testRepository({ backend });
    const indexed = indexedWith(repository, [await storePack(repository, 'data', contents)]);
    backend.reset();
    for (const bytes of contents) {
      expect(await indexed.loadBlob('data', hashOf(bytes))).toEqual(bytes);
    }
    expect(backend.counts()).toEqual({ 'get pack': 6 });
    const missing = indexed.loadBlob('tree', hashOf(contents.at(0)!));
    await expect(missing).rejects.toThrow(damaged('BLOB_NOT_FOUND'));
  });

  it('does not look for a blob that has no place yet', async () => {
    const index = BlobIndex.create();
    index.claim('data', idOf(1));
    const indexed = new IndexedRepository(testRepository(), index);
    await expect(indexed.loadBlob('data', idOf(1))).rejects.toThrow(damaged('BLOB_NOT_FOUND'));
  });

  it('loads trees', async () => {
    const repository = testRepository();
    const json = new TextEncoder().encode('{"nodes":[]}\n');
    const indexed = indexedWith(repository, [await storePack(repository, 'tree', [json])]);
    expect(await indexed.loadBlob('tree', hashOf(json))).toEqual(json);
    expect(await indexed.loadTree(hashOf(json))).toEqual([]);
  });

  it('reads damaged bytes again, past caches', async () => {
    const inner = new MemoryBackend();
    const pack = await storePack(testRepository({ backend: inner }), 'data', contents);
    const flip = { operation: 'get', count: 2, fault: { kind: 'flip', byte: 40 } } as const;
    const backend = fault(inner, [flip]);
    const indexed = indexedWith(testRepository({ backend }), [pack]);
    const first = contents.at(0)!;
    expect(await indexed.loadBlob('data', hashOf(first))).toEqual(first);
    expect(backend.faultCount).toBe(2);
  });

  it('takes another copy when one is damaged or gone', async () => {
    const backend = new MemoryBackend();
    const repository = testRepository({ backend });
    const packs = [
      await storePack(repository, 'data', contents),
      await storePack(repository, 'data', contents.slice(0, 2)),
    ];
    const indexed = indexedWith(repository, packs);
    const [first, third] = [contents.at(0)!, contents.at(2)!];
    const key = [...backend.files.keys()].find((name) => name.includes(packs.at(0)!.id))!;
    const whole = backend.files.get(key)!;
    backend.files.set(key, whole.slice(0, 10));
    expect(await indexed.loadBlob('data', hashOf(first))).toEqual(first);
    await expect(indexed.loadBlob('data', hashOf(third))).rejects.toThrow(damaged('BLOB_DAMAGED'));
    backend.files.delete(key);
    expect(await indexed.loadBlob('data', hashOf(first))).toEqual(first);
    await expect(indexed.loadBlob('data', hashOf(third))).rejects.toThrow(damaged('BLOB_DAMAGED'));
    expect(await collect(indexed, packs.at(0)!)).toEqual([
      first,
      contents.at(1),
      'BLOB_DAMAGED',
      'BLOB_DAMAGED',
      'BLOB_DAMAGED',
      'BLOB_DAMAGED',
    ]);
  });

  it('says that storage is down, not that blobs are damaged', async () => {
    const inner = new MemoryBackend();
    const pack = await storePack(testRepository({ backend: inner }), 'data', contents);
    for (const code of ['BACKEND_UNAVAILABLE', 'BACKEND_READ_FAILED'] as const) {
      const rule: FaultRule = { operation: 'get', count: Infinity, fault: { kind: 'error', code } };
      const indexed = indexedWith(testRepository({ backend: fault(inner, [rule]) }), [pack]);
      const loading = indexed.loadBlob('data', hashOf(contents.at(0)!));
      await expect(loading).rejects.toThrow(damaged(code));
      if (code === 'BACKEND_READ_FAILED') {
        expect(new Set(await collect(indexed, pack))).toEqual(new Set([code]));
      } else {
        await expect(collect(indexed, pack)).rejects.toThrow(damaged(code));
      }
    }
  });

  it('does not read what the index declares too large', async () => {
    const backend = record(new MemoryBackend());
    const index = BlobIndex.create();
    const location = { pack: index.addPack(idOf('p')), offset: 0, uncompressedLength: 0 };
    index.insert('data', idOf(1), { ...location, length: 2 ** 31 });
    const indexed = new IndexedRepository(testRepository({ backend }), index);
    await expect(indexed.loadBlob('data', idOf(1))).rejects.toThrow(damaged('BLOB_DAMAGED'));
    for await (const loaded of indexed.loadBlobsOfPack(0, [0])) {
      expect(loaded).toEqual({ entry: 0, error: damaged('BLOB_DAMAGED') });
    }
    expect(backend.counts()).toEqual({});
  });

  it('loads blobs of a pack with one read, and a damaged one from elsewhere', async () => {
    const memory = new MemoryBackend();
    const backend = record(memory);
    const repository = testRepository({ backend });
    const pack = await storePack(repository, 'data', contents);
    const copy = await storePack(repository, 'data', contents.slice(3, 4));
    const indexed = indexedWith(repository, [pack, copy]);
    backend.reset();
    expect(await collect(indexed, pack)).toEqual(contents);
    expect(backend.counts()).toEqual({ 'get pack': 1 });
    const key = [...memory.files.keys()].find((name) => name.includes(pack.id))!;
    flipBit(memory.files.get(key)!, (pack.blobs.at(3).offset + 50) * 8);
    flipBit(memory.files.get(key)!, (pack.blobs.at(4).offset + 50) * 8);
    const results = await collect(indexed, pack);
    expect(results.with(4, 'other')).toEqual(
      contents.map((bytes, i) => (i === 4 ? 'other' : bytes)),
    );
    expect(results.at(4)).toBe('BLOB_DAMAGED');
  });

  it('stops when it is told to', async () => {
    const repository = testRepository();
    const pack = await storePack(repository, 'data', contents);
    const indexed = indexedWith(repository, [pack]);
    const controller = new AbortController();
    const blobs = indexed.loadBlobsOfPack(0, [0, 1, 2], { signal: controller.signal });
    await blobs.next();
    controller.abort();
    await expect(blobs.next()).rejects.toThrow(damaged('CANCELLED'));
    const loading = indexed.loadBlob('data', hashOf(contents.at(0)!), {
      signal: controller.signal,
    });
    await expect(loading).rejects.toThrow(damaged('CANCELLED'));
  });
});

/** Reads for blobs at these places of a pack: start, end, entries. */
function plan(places: readonly (readonly [number, number])[]): (readonly number[])[] {
  const index = BlobIndex.create();
  const entries = places.map(([offset, length], i) =>
    index.insert('data', idOf(i), { pack: 0, offset, length, uncompressedLength: 0 }),
  );
  return planPackReads(index, entries).map((read) => [read.start, read.end, ...read.entries]);
}

describe('planPackReads', () => {
  it('joins what is near, up to a size', () => {
    const mib = 1 << 20;
    expect(plan([])).toEqual([]);
    expect(
      plan([
        [100, 50],
        [0, 50],
      ]),
    ).toEqual([[0, 150, 1, 0]]);
    expect(
      plan([
        [0, 10],
        [10 + mib, 10],
      ]),
    ).toEqual([[0, 20 + mib, 0, 1]]);
    expect(
      plan([
        [0, 10],
        [11 + mib, 10],
      ]),
    ).toEqual([
      [0, 10, 0],
      [11 + mib, 21 + mib, 1],
    ]);
    expect(
      plan([
        [0, 16 * mib],
        [16 * mib, 16 * mib - 1],
      ]),
    ).toEqual([[0, 32 * mib - 1, 0, 1]]);
    expect(
      plan([
        [0, 16 * mib],
        [16 * mib, 16 * mib],
      ]),
    ).toEqual([
      [0, 16 * mib, 0],
      [16 * mib, 32 * mib, 1],
    ]);
    expect(
      plan([
        [0, 100],
        [50, 10],
      ]),
    ).toEqual([[0, 100, 0, 1]]);
  });

  it('brings every entry once, within its read', () => {
    const place = fc.tuple(fc.nat(200 << 20), fc.integer({ min: 32, max: 10 << 20 }));
    fc.assert(
      fc.property(fc.array(place, { maxLength: 50 }), (places) => {
        const seen: number[] = [];
        for (const [start = 0, end = 0, ...entries] of plan(places)) {
          for (const entry of entries) {
            const [offset, length] = places.at(entry)!;
            expect(offset).toBeGreaterThanOrEqual(start);
            expect(offset + length).toBeLessThanOrEqual(end);
            seen.push(entry);
          }
        }
        expect(seen.sort((a, b) => a - b)).toEqual(places.map((_, i) => i));
      }),
    );
  });
});
