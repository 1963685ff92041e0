import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Sealer } from '../../kernels/seal.ts';
import { systemRandom } from '../../base/random.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { contentOf, hashOf, testKey } from '../../repository/index-test-support.ts';
import { PackBuilder } from '../../repository/pack.ts';
import { ChunkSink, IdList } from './chunk-sink.ts';

interface TakenPack {
  readonly ids: readonly string[];
  readonly entries: readonly number[];
}

function sinkOf(
  index: BlobIndex,
  targetSizeBytes: number,
  Builder: typeof PackBuilder = PackBuilder,
): { sink: ChunkSink; taken: TakenPack[] } {
  const taken: TakenPack[] = [];
  const builder = (): PackBuilder =>
    new Builder({
      version: 2,
      sealer: new Sealer(testKey, systemRandom),
      compression: 'auto',
      targetSizeBytes,
      maxBlobSizeBytes: 1 << 20,
    });
  const sink = new ChunkSink(index, { data: builder(), tree: builder() }, (pack, entries) => {
    const ids = Array.from(pack.blobs.iterate(), ({ id }) => Buffer.from(id).toString('hex'));
    taken.push({ ids, entries: [...entries] });
  });
  return { sink, taken };
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('ChunkSink', () => {
  test('hands over each new chunk once, with its entry, in the order of the pack', () => {
    const chunks = fc.array(fc.tuple(fc.nat(20), fc.integer({ min: 0, max: 3000 })), {
      maxLength: 60,
    });
    const property = fc.property(chunks, fc.integer({ min: 1, max: 20_000 }), (made, target) => {
      const index = BlobIndex.create();
      const { sink, taken } = sinkOf(index, target);
      const ids = new IdList();
      const contents = made.map(([seed, size]) => contentOf(seed, size));
      for (const content of contents) sink.addChunk(content, ids);
      sink.flush();
      expect(hex(ids.toBytes())).toBe(contents.map((content) => hex(hashOf(content))).join(''));
      const distinct = new Set(contents.map((content) => hex(hashOf(content))));
      expect(taken.flatMap((pack) => pack.ids).toSorted()).toEqual([...distinct].toSorted());
      for (const pack of taken) {
        expect(pack.entries).toHaveLength(pack.ids.length);
        pack.entries.forEach((entry, i) => expect(hex(index.idOf(entry))).toBe(pack.ids[i]));
      }
    });
    fc.assert(property, { numRuns: 40 });
  });

  test('gives the same after many new chunks in a row, which it packs before it knows that they are', () => {
    const index = BlobIndex.create();
    const { sink, taken } = sinkOf(index, 3000);
    const seeds = [...Array.from({ length: 40 }, (_, i) => i), 7, 7, 40, 8, 41, 9, 9, 9];
    const ids = new IdList();
    for (const seed of seeds) sink.addChunk(contentOf(seed, 100), ids);
    sink.flush();
    const expected = seeds.map((seed) => hex(hashOf(contentOf(seed, 100))));
    expect(hex(ids.toBytes())).toBe(expected.join(''));
    expect(taken.flatMap((pack) => pack.ids)).toEqual([...new Set(expected)]);
    for (const pack of taken) {
      pack.entries.forEach((entry, i) => expect(hex(index.idOf(entry))).toBe(pack.ids[i]));
    }
    expect(sink.takeAdded()).toMatchObject({ blobCount: 42, plainBytes: 4200 });
  });

  test('hashes one in four of those twice all the same', () => {
    let unhashedCount = 0;
    class Counted extends PackBuilder {
      override addUnhashed(
        ...parts: Parameters<PackBuilder['addUnhashed']>
      ): ReturnType<PackBuilder['addUnhashed']> {
        unhashedCount++;
        return super.addUnhashed(...parts);
      }
    }
    const { sink } = sinkOf(BlobIndex.create(), 1 << 20, Counted);
    const ids = new IdList();
    for (let seed = 0; seed < 40; seed++) sink.addChunk(contentOf(seed, 100), ids);
    expect(unhashedCount).toBe((40 - 8) * (3 / 4));
  });

  test('counts what it adds, and starts again when asked', () => {
    const { sink } = sinkOf(BlobIndex.create(), 1 << 20);
    const ids = new IdList();
    for (const seed of [1, 2, 1]) sink.addChunk(contentOf(seed, 1000), ids);
    const { blobCount, plainBytes, storedBytes } = sink.takeAdded();
    expect({ blobCount, plainBytes }).toEqual({ blobCount: 2, plainBytes: 2000 });
    expect(storedBytes).toBeGreaterThan(0);
    expect(sink.takeAdded()).toEqual({ blobCount: 0, plainBytes: 0, storedBytes: 0 });
  });

  test('keeps trees and data in packs of their own', () => {
    const index = BlobIndex.create();
    const { sink, taken } = sinkOf(index, 1 << 20);
    const bytes = contentOf(1, 100);
    const id = hashOf(bytes);
    sink.addChunk(bytes, new IdList());
    sink.addClaimed('tree', { id, entry: index.claim('tree', id), bytes });
    sink.flush();
    expect(taken).toHaveLength(2);
    expect(taken[0]?.ids).toEqual(taken[1]?.ids);
    sink.flush();
    expect(taken).toHaveLength(2);
  });

  test('does not store what another thread has claimed', () => {
    const index = BlobIndex.create();
    const other = BlobIndex.attach(index.share());
    const { sink, taken } = sinkOf(index, 1 << 20);
    const bytes = contentOf(1, 100);
    expect(other.claim('data', hashOf(bytes))).toBeGreaterThanOrEqual(0);
    const ids = new IdList();
    sink.addChunk(bytes, ids);
    sink.flush();
    expect(ids.count).toBe(1);
    expect(taken).toEqual([]);
  });
});

describe('IdList', () => {
  test('is a list', () => {
    const property = fc.property(
      fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 300 }),
      fc.nat(300),
      fc.nat(300),
      (numbers, keep, first) => {
        const list = new IdList();
        for (const number of numbers) list.append(new Uint8Array(32).fill(number));
        expect(list.count).toBe(numbers.length);
        list.truncate(Math.min(keep, list.count));
        const kept = numbers.slice(0, keep);
        expect(list.count).toBe(kept.length);
        const from = Math.min(first, kept.length);
        expect(Array.from(list.toBytes(from)).filter((_, i) => i % 32 === 0)).toEqual(
          kept.slice(from),
        );
      },
    );
    fc.assert(property);
  });
});
