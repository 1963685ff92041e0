import { describe, expect, it } from 'vitest';

import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import { record } from '../storage/record.ts';
import type { IndexCacheStore } from './index-cache.ts';
import { loadIndex, type LoadIndexOptions } from './index-load.ts';
import {
  dumpIndex,
  flipBit,
  idOf,
  indexText,
  madeUpPacks,
  saveIndex,
  testRepository,
} from './index-test-support.ts';

const limits = { cachedBlobCountMin: 0, cacheNewFilesMin: 1, cacheNewBlobsMin: 0 };

class MemoryStore implements IndexCacheStore {
  readonly files = new Map<string, Uint8Array>();
  failure: Error | undefined;
  writeCount = 0;

  async read(name: string): Promise<Uint8Array | undefined> {
    this.#fail();
    return this.files.get(name)?.slice();
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    this.#fail();
    this.writeCount++;
    this.files.set(name, bytes.slice());
  }

  async remove(name: string): Promise<void> {
    this.#fail();
    this.files.delete(name);
  }

  async list(): Promise<string[]> {
    this.#fail();
    return [...this.files.keys()];
  }

  #fail(): void {
    if (this.failure) throw this.failure;
  }
}

/** A repository with 5 index files of 4 packs, and a cache of its index. */
class CachedRepository {
  readonly memory = new MemoryBackend();
  readonly backend = record(this.memory);
  readonly repository = testRepository({ backend: this.backend });
  readonly store = new MemoryStore();
  readonly problems: unknown[] = [];

  static async create(): Promise<CachedRepository> {
    const cached = new CachedRepository();
    for (let i = 0; i < 5; i++) await cached.save(i * 4, 4);
    await cached.load();
    return cached;
  }

  save(start: number, count: number): Promise<string> {
    return saveIndex(this.repository, madeUpPacks(start, count, 5));
  }

  /** Loads the index; returns what is in it and how many index files were read. */
  async load(options: LoadIndexOptions = {}): Promise<{ text: string[]; readCount: number }> {
    this.backend.reset();
    const index = await loadIndex(this.repository, {
      cache: this.store,
      limits,
      onCacheProblem: (error) => this.problems.push(error),
      ...options,
    });
    const text = dumpIndex(index);
    for (let entry = 0; entry < index.blobCount; entry++) {
      expect(index.findAll(index.typeOf(entry), index.idOf(entry))).toContain(entry);
    }
    const claimed = index.claim('data', idOf('new'));
    expect(claimed).toBe(index.blobCount - 1);
    expect(index.find('data', idOf('new'))).toBe(claimed);
    return { text, readCount: this.backend.count({ operation: 'get', type: 'index' }) };
  }
}

const whole = indexText(madeUpPacks(0, 20, 5));

describe('index cache', () => {
  it('saves reading index files', async () => {
    const cached = await CachedRepository.create();
    expect(await cached.load()).toEqual({ text: whole, readCount: 0 });
    expect(cached.store.files.size).toBe(4);
    expect(cached.problems).toEqual([]);
  });

  it('holds nothing that can be read', async () => {
    const cached = await CachedRepository.create();
    const id = Buffer.from(madeUpPacks(3, 1, 5).at(0)!.id);
    for (const bytes of cached.store.files.values()) {
      expect(Buffer.from(bytes).includes(id)).toBe(false);
    }
  });

  it('needs only index files that are new', async () => {
    const cached = await CachedRepository.create();
    await cached.save(20, 2);
    const text = indexText(madeUpPacks(0, 22, 5));
    expect(await cached.load()).toEqual({ text, readCount: 1 });
    expect(await cached.load()).toEqual({ text, readCount: 0 });
    expect(cached.store.files.size).toBe(4);
  });

  it('is not saved again for little', async () => {
    const cached = await CachedRepository.create();
    cached.store.writeCount = 0;
    const few = { cachedBlobCountMin: 0, cacheNewFilesMin: 3, cacheNewBlobsMin: 1000 };
    await cached.save(20, 2);
    expect(await cached.load({ limits: few })).toMatchObject({ readCount: 1 });
    await cached.save(30, 2);
    expect(await cached.load({ limits: few })).toMatchObject({ readCount: 2 });
    expect(cached.store.writeCount).toBe(0);
    await cached.save(40, 2);
    expect(await cached.load({ limits: few })).toMatchObject({ readCount: 3 });
    expect(cached.store.writeCount).toBe(4);
    expect(await cached.load({ limits: { ...few, cachedBlobCountMin: 10_000 } })).toMatchObject({
      readCount: 0,
    });
  });

  it('is made anew when an index file is gone', async () => {
    const cached = await CachedRepository.create();
    const name = await cached.save(20, 2);
    await cached.load();
    await cached.repository.removeUnpacked('index', name);
    expect(await cached.load()).toEqual({ text: whole, readCount: 5 });
    expect(await cached.load()).toEqual({ text: whole, readCount: 0 });
  });

  it('keeps entries that several packs have', async () => {
    const cached = await CachedRepository.create();
    const packs = madeUpPacks(2, 2, 5).map((pack, i) => ({ ...pack, id: idOf(`other ${i}`) }));
    await saveIndex(cached.repository, packs);
    const text = [...whole, ...indexText(packs)].sort();
    expect(await cached.load()).toEqual({ text, readCount: 1 });
    expect(await cached.load()).toEqual({ text, readCount: 0 });
    await cached.save(20, 2);
    await cached.load();
    const all = [...text, ...indexText(madeUpPacks(20, 2, 5))].sort();
    expect(await cached.load()).toEqual({ text: all, readCount: 0 });
  });

  it('keeps an index in which most entries are further copies', async () => {
    const cached = await CachedRepository.create();
    const packs = madeUpPacks(20, 40, 30);
    const all = [0, 1, 2].flatMap((copy) =>
      packs.map((pack, i) => ({ ...pack, id: idOf(`copy ${copy} ${i}`) })),
    );
    await saveIndex(cached.repository, all);
    const text = [...whole, ...indexText(all)].sort();
    expect(await cached.load()).toEqual({ text, readCount: 1 });
    expect(await cached.load()).toEqual({ text, readCount: 0 });
    await cached.save(100, 300);
    const more = [...text, ...indexText(madeUpPacks(100, 300, 5))].sort();
    expect(await cached.load()).toEqual({ text: more, readCount: 1 });
    expect(await cached.load()).toEqual({ text: more, readCount: 0 });
  });

  it('is dropped without a word when it is damaged, and made anew', async () => {
    const { store } = await CachedRepository.create();
    for (const name of store.files.keys()) {
      for (const damage of ['flip', 'cut', 'empty', 'gone', 'zeros'] as const) {
        const cached = await CachedRepository.create();
        const names = [...cached.store.files.keys()];
        const target = names.at([...store.files.keys()].indexOf(name))!;
        const bytes = cached.store.files.get(target)!;
        if (damage === 'flip') flipBit(bytes, 8 * 30 + 3);
        else if (damage === 'cut') cached.store.files.set(target, bytes.slice(0, -1));
        else if (damage === 'empty') cached.store.files.set(target, new Uint8Array());
        else if (damage === 'zeros') cached.store.files.set(target, new Uint8Array(bytes.length));
        else cached.store.files.delete(target);
        expect(await cached.load()).toEqual({ text: whole, readCount: 5 });
        expect(await cached.load()).toEqual({ text: whole, readCount: 0 });
        expect(cached.problems).toEqual([]);
        expect(cached.store.files.size).toBe(4);
      }
    }
  });

  it('is not taken from another state or another repository', async () => {
    const cached = await CachedRepository.create();
    const old = new Map(cached.store.files);
    await cached.save(20, 2);
    await cached.load();
    const names = [...cached.store.files.keys()];
    // Each old part under each new name: authentic, but not what the manifest means.
    for (const [name, bytes] of old) {
      for (const target of names.filter((each) => each.startsWith('index-part'))) {
        if (target === name) continue;
        const mixed = new Map(cached.store.files);
        cached.store.files.set(target, bytes);
        expect(await cached.load()).toMatchObject({ readCount: 6 });
        cached.store.files.clear();
        for (const [key, value] of mixed) cached.store.files.set(key, value);
      }
    }
    const other = await CachedRepository.create();
    for (const [name, bytes] of other.store.files) cached.store.files.set(name, bytes);
    expect(await cached.load()).toMatchObject({ readCount: 6 });
  });

  it('costs nothing but time when its store fails', async () => {
    const cached = await CachedRepository.create();
    cached.store.failure = new Error('disk is gone');
    expect(await cached.load()).toEqual({ text: whole, readCount: 5 });
    expect(cached.problems).toEqual([cached.store.failure, cached.store.failure]);
  });

  it('is not saved when an index file could not be used', async () => {
    const cached = await CachedRepository.create();
    cached.store.files.clear();
    await cached.repository.saveUnpacked('index', new TextEncoder().encode('{"packs":5}'));
    const loaded = await cached.load({ onProblem: () => {} });
    expect(loaded.text).toEqual(whole);
    expect(cached.store.files.size).toBe(0);
  });

  it('leaves files of others alone and stops when it is told to', async () => {
    const cached = await CachedRepository.create();
    cached.store.files.set('CACHEDIR.TAG', new Uint8Array(3));
    cached.store.files.set('index-part-old', new Uint8Array(3));
    await cached.save(20, 2);
    await cached.load();
    expect(cached.store.files.has('CACHEDIR.TAG')).toBe(true);
    expect(cached.store.files.has('index-part-old')).toBe(false);
    const stopped = cached.load({ signal: AbortSignal.abort() });
    await expect(stopped).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
