import { describe, expect, it } from 'vitest';

import { toHex } from '../base/bytes.ts';
import { systemRandom } from '../base/random.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import { JumpingClock } from '../storage/test-support.ts';
import type { PackedBlobs } from './blob.ts';
import { BlobIndex } from './blob-index.ts';
import { decodeIndexInto } from './index-file.ts';
import { IndexWriter, indexAgeMsMax } from './index-writer.ts';
import { idOf, madeUpPacks } from './index-test-support.ts';
import { ManualClock } from './lock-test-support.ts';
import { Absences } from './repository-guard.ts';

/** Takes index files and remembers what they list. */
class IndexTaker {
  readonly absences = new Absences();
  readonly backend = new MemoryBackend();
  readonly clock = new JumpingClock();
  readonly environment = { clock: this.clock, random: systemRandom };
  readonly index = BlobIndex.create();
  readonly packCounts: number[] = [];
  readonly retracted: string[] = [];
  failure: Error | undefined;
  /** Passed after each put. */
  certain: () => Promise<void> = () => Promise.resolve();
  gate: Promise<void> = Promise.resolve();

  async retract(type: string, id: string): Promise<void> {
    expect(type).toBe('index');
    this.retracted.push(id);
  }

  async saveUnpacked(type: string, given: Uint8Array): Promise<string> {
    const json = given.slice();
    await this.gate;
    if (this.failure) throw this.failure;
    expect(type).toBe('index');
    this.packCounts.push(decodeIndexInto(json, this.index).packCount);
    return toHex(idOf(this.packCounts.length));
  }
}

const packs = madeUpPacks(0, 12, 5000);

function add(writer: IndexWriter, number: number): Promise<void> {
  const pack: { id: Uint8Array; blobs: PackedBlobs } = packs.at(number)!;
  return writer.add(toHex(pack.id), pack.blobs);
}

describe('IndexWriter', () => {
  it('saves every few packs where that is asked for', async () => {
    const taker = new IndexTaker();
    const writer = new IndexWriter(taker, { packCountMin: 2 });
    for (let number = 0; number < 5; number++) await add(writer, number);
    expect(taker.packCounts).toEqual([2, 2]);
    await writer.flush();
    expect(taker.packCounts).toEqual([2, 2, 1]);
  });

  it.each([1, 8, 64])(
    'after %i packs each, leaves few of all that is stored to a crash',
    async (first) => {
      const taker = new IndexTaker();
      const writer = new IndexWriter(taker, { packCountMin: first });
      let stored = 0;
      for (const { id, blobs } of madeUpPacks(0, 3000, 1)) {
        await writer.add(toHex(id), blobs);
        stored++;
        const left = stored - taker.packCounts.reduce((sum, count) => sum + count, 0);
        expect(left).toBeLessThan(stored < 4 * first ? first : 0.05 * stored);
      }
      expect(taker.packCounts.slice(0, 3)).toEqual([first, first, first]);
      expect(taker.packCounts.length).toBeLessThan(150);
    },
  );

  it('saves at 50,000 blobs and at the end, each pack once', async () => {
    const taker = new IndexTaker();
    const writer = new IndexWriter(taker);
    for (let number = 0; number < 9; number++) await add(writer, number);
    expect(taker.packCounts).toEqual([]);
    await add(writer, 9);
    expect(taker.packCounts).toEqual([10]);
    await add(writer, 10);
    expect(writer.pendingBlobCount).toBe(5000);
    await writer.flush();
    expect(taker.packCounts).toEqual([10, 1]);
    await writer.flush();
    expect(taker.packCounts).toEqual([10, 1]);
    expect(writer.savedIds).toEqual([toHex(idOf(1)), toHex(idOf(2))]);
    expect(taker.index.blobCount).toBe(55_000);
  });

  it('saves when the first pack has waited 10 minutes', async () => {
    const taker = new IndexTaker();
    const writer = new IndexWriter(taker);
    await add(writer, 0);
    taker.clock.nowMs += 599_999;
    await add(writer, 1);
    expect(taker.packCounts).toEqual([]);
    taker.clock.nowMs += 1;
    await add(writer, 2);
    expect(taker.packCounts).toEqual([3]);
    taker.clock.nowMs += 600_000;
    await add(writer, 3);
    expect(taker.packCounts).toEqual([3]);
  });

  it('saves what has waited 10 minutes while no pack comes, as long as it keeps time', async () => {
    const clock = new ManualClock();
    const taker = new IndexTaker();
    const writer = new IndexWriter(
      Object.assign(taker, { environment: { clock, random: systemRandom } }),
    );
    const timer = writer.keepTime();
    await clock.advance(indexAgeMsMax);
    await add(writer, 0);
    await clock.advance(indexAgeMsMax - 1);
    expect(taker.packCounts).toEqual([]);
    await clock.advance(indexAgeMsMax);
    expect(taker.packCounts).toEqual([1]);
    await clock.advance(10 * indexAgeMsMax);
    await writer.flush();
    expect(taker.packCounts).toEqual([1]);
    taker.failure = new Error('no room');
    await add(writer, 1);
    await clock.advance(2 * indexAgeMsMax);
    await expect(add(writer, 2)).rejects.toThrow('no room');
    await expect(writer.flush()).rejects.toThrow('no room');
    timer.stop();
    expect(clock.timerCount).toBe(0);
  });

  it('flushes only once all files that are being saved are stored', async () => {
    const taker = new IndexTaker();
    const gate = Promise.withResolvers<void>();
    taker.gate = gate.promise;
    const writer = new IndexWriter(taker);
    const adds = Array.from({ length: 10 }, (_, number) => add(writer, number));
    let isFlushed = false;
    const flushed = writer.flush().then(() => {
      isFlushed = true;
    });
    await Promise.resolve();
    expect(isFlushed).toBe(false);
    gate.resolve();
    await Promise.all([...adds, flushed]);
    expect(taker.packCounts).toEqual([10]);
  });

  /** Stores the file of a pack. */
  async function store(taker: IndexTaker, number: number): Promise<void> {
    await taker.backend.put({ type: 'pack', name: toHex(packs.at(number)!.id) }, []);
  }

  const { signal } = new AbortController();
  const gone = expect.objectContaining({
    code: 'LOCK_LOST',
    details: { packId: toHex(packs.at(1)!.id) },
  });

  it('after an absence, goes on if all packs that no index lists are still there', async () => {
    const taker = new IndexTaker();
    const writer = new IndexWriter(taker);
    await add(writer, 0);
    await writer.flush();
    await store(taker, 1);
    await add(writer, 1);
    await taker.absences.check(signal);
    await store(taker, 2);
    await add(writer, 2);
    await writer.flush();
    expect(taker.packCounts).toEqual([1, 2]);
  });

  it('after an absence in which a pack was removed that no index lists, lists nothing more', async () => {
    const taker = new IndexTaker();
    const writer = new IndexWriter(taker);
    await add(writer, 1);
    await expect(taker.absences.check(signal)).rejects.toThrow(gone);
    await expect(add(writer, 2)).rejects.toThrow(gone);
    await expect(writer.flush()).rejects.toThrow(gone);
    expect(taker.packCounts).toEqual([]);
  });

  it('looks for packs of an index file that is being saved, and of one whose put ended before', async () => {
    const taker = new IndexTaker();
    const gate = Promise.withResolvers<void>();
    taker.gate = gate.promise;
    const saving = new IndexWriter(taker);
    await add(saving, 1);
    const flushed = saving.flush();
    await expect(taker.absences.check(signal)).rejects.toThrow(gone);
    gate.resolve();
    await expect(flushed).rejects.toThrow(gone);
    const later = new IndexWriter(taker);
    await expect(add(later, 1)).rejects.toThrow(gone);
  });

  it('takes an index file back that reached the storage only after its packs were removed', async () => {
    const taker = new IndexTaker();
    const writer = new IndexWriter(taker);
    await add(writer, 1);
    taker.certain = () => taker.absences.check(signal);
    await expect(writer.flush()).rejects.toThrow(gone);
    expect(taker.retracted).toEqual([toHex(idOf(1))]);
    expect(writer.savedIds).toEqual([]);
  });

  it('fails for good once an index file is not stored', async () => {
    const taker = new IndexTaker();
    const writer = new IndexWriter(taker);
    await add(writer, 0);
    taker.failure = new Error('storage is full');
    await expect(writer.flush()).rejects.toThrow('storage is full');
    taker.failure = undefined;
    await expect(writer.flush()).rejects.toThrow('storage is full');
    await expect(add(writer, 1)).rejects.toThrow('storage is full');
    expect(taker.packCounts).toEqual([]);
  });
});
