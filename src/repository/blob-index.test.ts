import { Worker } from 'node:worker_threads';

import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { type BlobType, recordWords } from './blob.ts';
import { BlobIndex, type BlobLocation } from './blob-index.ts';
import { madeUpPacks, idOf } from './index-test-support.ts';
import { PackedBlobs } from './pack.ts';

const place = { pack: 0, offset: 1, length: 50, uncompressedLength: 7 };

function placeOne(index: BlobIndex, entry: number, { pack, ...location }: BlobLocation): void {
  const blob = { type: index.typeOf(entry), id: index.idOf(entry), ...location };
  index.place(Int32Array.of(entry), pack, PackedBlobs.from([blob]));
}

describe('BlobIndex', () => {
  it.each(['lengthOf', 'offsetOf', 'uncompressedLengthOf', 'packOf', 'typeOf'] as const)(
    'answers %s as the first question after it was attached',
    (question) => {
      const index = BlobIndex.create();
      const pack = index.addPack(idOf('pack'));
      index.addPack(idOf('other pack'));
      const entry = index.insert('tree', idOf(1), { ...place, pack });
      expect(BlobIndex.attach(index.share())[question](entry)).toBe(index[question](entry));
    },
  );

  it('finds what was inserted, by id and type', () => {
    const index = BlobIndex.create();
    const pack = index.addPack(idOf('pack'));
    const location = { pack, offset: 0xffff_0000, length: 0xffff, uncompressedLength: 0xffff_ffff };
    const entry = index.insert('tree', idOf(1), location);
    expect(index.find('tree', idOf(1))).toBe(entry);
    expect(index.find('data', idOf(1))).toBe(-1);
    expect(index.find('tree', idOf(2))).toBe(-1);
    expect(index.typeOf(entry)).toBe('tree');
    expect(index.offsetOf(entry)).toBe(0xffff_0000);
    expect(index.lengthOf(entry)).toBe(0xffff);
    expect(index.uncompressedLengthOf(entry)).toBe(0xffff_ffff);
    expect(index.packId(index.packOf(entry))).toEqual(idOf('pack'));
    expect(index.idOf(entry)).toEqual(idOf(1));
    const target = new Uint8Array(34);
    index.idInto(entry, target, 1);
    expect(target.subarray(1, 33)).toEqual(idOf(1));
  });

  it('finds ids that lie anywhere in a larger array', () => {
    const index = BlobIndex.create();
    const list = new Uint8Array(100);
    list.set(idOf(1), 3);
    list.set(idOf(2), 35);
    index.insert('data', idOf(1), place);
    const claimed = index.claim('data', list, 35);
    expect(claimed).toBe(1);
    expect(index.find('data', list, 3)).toBe(0);
    expect(index.find('data', list, 35)).toBe(1);
    expect(() => index.find('data', list, 69)).toThrow('32 bytes');
  });

  it('numbers packs densely and once', () => {
    const index = BlobIndex.create();
    const numbers = Array.from({ length: 3000 }, (_, i) => index.addPack(idOf(i)));
    expect(numbers).toEqual(Array.from({ length: 3000 }, (_, i) => i));
    expect(index.addPack(idOf(1234))).toBe(1234);
    expect(index.findPack(idOf(2999))).toBe(2999);
    expect(index.findPack(idOf('other'))).toBe(-1);
    expect(index.packCount).toBe(3000);
    expect(index.packId(77)).toEqual(idOf(77));
  });

  it('keeps every copy of a blob, also while it grows', () => {
    const index = BlobIndex.create();
    const copies: number[] = [];
    for (let i = 0; i < 20_000; i++) {
      if (i % 1000 === 0) copies.push(index.insert('data', idOf('twice'), { ...place, pack: i }));
      index.insert('data', idOf(i), place);
    }
    expect(index.find('data', idOf('twice'))).toBe(copies[0]);
    expect(index.findAll('data', idOf('twice'))).toEqual(copies);
    expect(index.findAll('tree', idOf('twice'))).toEqual([]);
    expect(copies.map((entry) => index.packOf(entry))).toEqual(copies.map((_, i) => i * 1000));
    expect(copies.every((entry) => Buffer.compare(index.idOf(entry), idOf('twice')) === 0)).toBe(
      true,
    );
  });

  it('takes no slots for further copies, and finds them all in the end', () => {
    const index = BlobIndex.create();
    const insertAll = (pack: number): void => {
      for (let i = 0; i < 1000; i++) index.insert('data', idOf(i), { ...place, pack });
    };
    insertAll(0);
    insertAll(1);
    expect(index.shape().slotBits).toBe(11);
    // The number of a record has to fit a slot.
    for (let pack = 2; pack < 9; pack++) insertAll(pack);
    expect(index.shape().slotBits).toBe(15);
    for (let i = 0; i < 1000; i++) {
      const copies = Array.from({ length: 9 }, (_, copy) => copy * 1000 + i);
      expect(index.findAll('data', idOf(i))).toEqual(copies);
    }
    for (let i = 1000; i < 2000; i++) index.insert('data', idOf(i), place);
    for (let i = 0; i < 2000; i++) expect(index.find('data', idOf(i))).toBeGreaterThanOrEqual(0);
    expect(index.find('data', idOf(2000))).toBe(-1);
  });

  it('gives records as packs list them', () => {
    const index = BlobIndex.create();
    const [pack] = madeUpPacks(0, 1, 9);
    if (!pack) throw new Error('there is a pack');
    const packs = [idOf('one'), idOf('other')].map((id) => index.addPack(id));
    for (const number of packs) {
      for (const blob of pack.blobs.iterate()) {
        index.insert(blob.type, blob.id, { ...blob, pack: number });
      }
    }
    const words = new Uint32Array(18 * recordWords);
    for (let entry = 0; entry < 18; entry++) index.recordInto(entry, words, entry * recordWords);
    const half = pack.blobs.bytes.byteLength;
    expect(new Uint8Array(words.buffer, 0, half)).toEqual(pack.blobs.bytes);
    expect(new Uint8Array(words.buffer, half)).toEqual(pack.blobs.bytes);
  });

  it('places all blobs of a pack at once', () => {
    const index = BlobIndex.create();
    const [pack] = madeUpPacks(0, 1, 9);
    if (!pack) throw new Error('there is a pack');
    const { blobs } = pack;
    const entries = Array.from(blobs.iterate(), ({ type, id }) => index.claimCopy(type, id));
    expect(() => index.place(Int32Array.from(entries.slice(1)), 3, blobs)).toThrow('each blob');
    index.place(Int32Array.from(entries), 3, blobs);
    expect(entries.map((entry) => index.blobOf(entry))).toEqual([...blobs.iterate()]);
    expect(entries.every((entry) => index.packOf(entry) === 3)).toBe(true);
    expect(entries.some((entry) => index.isPending(entry))).toBe(false);
    expect(() => index.place(Int32Array.from(entries), 3, blobs)).toThrow('pending');
  });

  it('stays linear with very many entries of one blob', () => {
    const index = BlobIndex.create();
    const id = idOf('same');
    for (let i = 0; i < 300_000; i++) index.insert('data', id, place);
    expect(index.find('data', id)).toBe(0);
    expect(index.blobCount).toBe(300_000);
    expect(index.findAll('data', id)).toHaveLength(300_000);
  });

  it('shows all instances what one of them added', () => {
    const index = BlobIndex.create();
    const others = Array.from({ length: 5 }, () => BlobIndex.attach(index.share()));
    for (let i = 0; i < 5000; i++) {
      index.insert('tree', idOf(i), {
        pack: index.addPack(idOf(i)),
        offset: i,
        length: 9,
        uncompressedLength: 3,
      });
    }
    const last = 4999;
    expect(others.at(0)?.packOf(last)).toBe(last);
    expect(others.at(1)?.typeOf(last)).toBe('tree');
    expect(others.at(2)?.idOf(last)).toEqual(idOf(last));
    expect(others.at(3)?.packId(last)).toEqual(idOf(last));
    expect(others.at(4)?.isPending(last)).toBe(false);
    expect(others.at(4)?.findAll('tree', idOf(77))).toEqual([77]);
    const claimed = others.at(1)?.claim('data', idOf('x')) ?? -1;
    expect(claimed).toBe(5000);
    placeOne(others.at(2)!, claimed, { pack: 1, offset: 7, length: 8, uncompressedLength: 0 });
    expect(index.offsetOf(claimed)).toBe(7);
  });

  it('claims a blob once and gives it a place later', () => {
    const index = BlobIndex.create();
    const entry = index.claim('data', idOf(1));
    expect(entry).toBe(0);
    expect(index.claim('data', idOf(1))).toBe(-1);
    expect(index.claim('tree', idOf(1))).toBe(1);
    expect(index.isPending(entry)).toBe(true);
    placeOne(index, entry, { ...place, pack: 5 });
    expect(index.isPending(entry)).toBe(false);
    expect(index.packOf(entry)).toBe(5);
    expect(index.offsetOf(entry)).toBe(1);
    expect(index.typeOf(1)).toBe('tree');
    placeOne(index, 1, place);
    expect(index.typeOf(1)).toBe('tree');
    expect(() => placeOne(index, entry, place)).toThrow('pending');
    index.insert('tree', idOf(3), place);
    expect(index.claim('tree', idOf(3))).toBe(-1);
  });

  it('refuses entries and places that cannot be', () => {
    const index = BlobIndex.create();
    for (const wrong of [-1, 1.5, 2 ** 32, Number.NaN]) {
      expect(() => index.insert('data', idOf(1), { ...place, offset: wrong })).toThrow('32 bits');
      expect(() => index.insert('data', idOf(1), { ...place, length: wrong })).toThrow('32 bits');
    }
    expect(() => index.typeOf(1_000_000)).toThrow('has this entry');
    expect(index.blobCount).toBe(0);
  });

  it('tells a pack listed again from a pack listed differently', () => {
    const index = BlobIndex.create();
    const pack = madeUpPacks(0, 1, 20).at(0);
    const { bytes } = pack!.blobs;
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
    expect(index.addListedPack(pack!.id, words)).toBe('added');
    expect(index.addListedPack(pack!.id, words)).toBe('repeated');
    const reversed = PackedBlobs.from([...pack!.blobs.iterate()].toReversed());
    expect(index.addListedPack(pack!.id, new Uint32Array(reversed.bytes.buffer))).toBe('repeated');
    expect(index.blobCount).toBe(20);
    const other = words.slice(0, 3 * recordWords);
    other[8] = 77;
    expect(index.addListedPack(pack!.id, other)).toBe('conflicting');
    expect(index.blobCount).toBe(21);
    expect(index.packCount).toBe(1);
  });

  it('behaves as a map from type and id to entries', () => {
    const operation = fc.record({
      kind: fc.constantFrom('insert', 'claim', 'find'),
      type: fc.constantFrom<BlobType[]>('data', 'tree'),
      id: fc.nat(400),
    });
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 1500, size: 'max' }), (operations) => {
        const index = BlobIndex.create();
        const other = BlobIndex.attach(index.share());
        const model = new Map<string, number[]>();
        let count = 0;
        for (const { kind, type, id } of operations) {
          const entries = model.get(`${type} ${id}`) ?? [];
          if (kind === 'insert') {
            expect(index.insert(type, idOf(id), place)).toBe(count);
            entries.push(count++);
          } else if (kind === 'claim') {
            expect(other.claim(type, idOf(id))).toBe(entries.length > 0 ? -1 : count);
            if (entries.length === 0) entries.push(count++);
          }
          model.set(`${type} ${id}`, entries);
          expect(other.find(type, idOf(id))).toBe(entries[0] ?? -1);
          expect(index.findAll(type, idOf(id))).toEqual(entries);
        }
        expect(other.blobCount).toBe(count);
      }),
      { numRuns: 6 },
    );
  });
});

describe('BlobIndex across threads', () => {
  const claimer = `
    const { workerData, parentPort } = require('node:worker_threads');
    const { createHash } = require('node:crypto');
    import(workerData.module).then(({ BlobIndex }) => {
      const index = BlobIndex.attach(workerData.share);
      const mine = [];
      for (let i = 0; i < workerData.count; i++) {
        const number = (i * workerData.step + workerData.start) % workerData.count;
        const id = new Uint8Array(createHash('sha256').update('id ' + number).digest());
        const entry = index.claim('data', id);
        if (entry >= 0) {
          const record = new Uint32Array(workerData.recordWords);
          record.set([number, 99], 8);
          const blobs = { count: 1, bytes: new Uint8Array(record.buffer) };
          index.place(Int32Array.of(entry), workerData.pack, blobs);
          mine.push(number);
        }
        if (index.find('data', id) < 0) throw new Error('lost ' + number);
      }
      parentPort.postMessage(mine);
    });`;

  function claimAll(share: unknown, data: Record<string, number>): Promise<number[]> {
    const module = new URL('./blob-index.ts', import.meta.url).href;
    const worker = new Worker(claimer, {
      eval: true,
      workerData: { ...data, recordWords, share, module },
    });
    return new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  }

  it('lets each blob be claimed by one thread only, while the table grows', async () => {
    const count = 12_000;
    const index = BlobIndex.create();
    const share = index.share();
    const claims = await Promise.all([
      claimAll(share, { count, step: 1, start: 0, pack: 1 }),
      claimAll(share, { count, step: 7, start: 11, pack: 2 }),
      claimAll(share, { count, step: 11_999, start: 11_999, pack: 3 }),
    ]);
    expect(index.blobCount).toBe(count);
    expect(claims.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
    for (const [thread, numbers] of claims.entries()) {
      for (const number of numbers) {
        const entry = index.find('data', idOf(number));
        expect(index.isPending(entry)).toBe(false);
        expect(index.packOf(entry)).toBe(thread + 1);
        expect(index.offsetOf(entry)).toBe(number);
      }
    }
  });
});
