import { describe, expect, it, test } from 'vitest';

import { HoldfastError } from '../base/errors.ts';
import type { Backend, FileStat } from '../storage/backend.ts';
import { fault, type FaultRule } from '../storage/fault.ts';
import { ForwardingBackend } from '../storage/forward.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import { record } from '../storage/record.ts';
import type { Id } from './id.ts';
import { loadIndex, loadIndexFiles, type LoadIndexOptions } from './index-load.ts';
import {
  dumpIndex,
  flipBit,
  indexText,
  madeUpPacks,
  saveIndex,
  testRepository,
} from './index-test-support.ts';

const damagedText = new TextEncoder().encode('{"packs":[{"id":5}]}');

/** A memory repository with index files of 3 packs of 4 blobs each. */
async function indexFiles(count: number): Promise<{ backend: MemoryBackend; names: Id[] }> {
  const backend = new MemoryBackend();
  const repository = testRepository({ backend });
  const names: Id[] = [];
  for (let i = 0; i < count; i++) names.push(await saveIndex(repository, madeUpPacks(i * 3, 3, 4)));
  return { backend, names };
}

describe.each([
  ['in this thread', {}],
  ['in other threads', { workerCount: 2, limits: { workersSizeBytesMin: 0 } }],
] satisfies [string, LoadIndexOptions][])('loadIndex %s', (_, how) => {
  it('gives the union of all index files', async () => {
    const { backend } = await indexFiles(20);
    const index = await loadIndex(testRepository({ backend }), how);
    expect(dumpIndex(index)).toEqual(indexText(madeUpPacks(0, 60, 4)));
    expect(index.packCount).toBe(60);
    const [pack] = madeUpPacks(7, 1, 4);
    for (const blob of pack?.blobs.iterate() ?? []) {
      const entry = index.find(blob.type, blob.id);
      expect(index.offsetOf(entry)).toBe(blob.offset);
    }
  });

  it('gives an empty index for a repository without index files', async () => {
    const index = await loadIndex(testRepository(), how);
    expect(index.blobCount).toBe(0);
  });

  it('counts packs that several files list once', async () => {
    const { backend } = await indexFiles(2);
    await saveIndex(testRepository({ backend }), madeUpPacks(1, 4, 4));
    const index = await loadIndex(testRepository({ backend }), how);
    expect(dumpIndex(index)).toEqual(indexText(madeUpPacks(0, 6, 4)));
  });

  it('reads a file again whose bytes came damaged', async () => {
    const { backend } = await indexFiles(3);
    const rule: FaultRule = { operation: 'get', call: 2, fault: { kind: 'flip', byte: 50 } };
    const faulty = fault(backend, [rule]);
    const index = await loadIndex(testRepository({ backend: faulty }), how);
    expect(faulty.faultCount).toBe(1);
    expect(index.packCount).toBe(9);
  });

  it('names the file that it cannot use', async () => {
    const { backend } = await indexFiles(2);
    const repository = testRepository({ backend });
    const bad = await repository.saveUnpacked('index', damagedText);
    const error: unknown = await loadIndex(repository, how).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(HoldfastError);
    expect(error).toMatchObject({ code: 'INDEX_DAMAGED', details: { index: bad } });
  });

  it('goes on without damaged files when somebody listens', async () => {
    const { backend, names } = await indexFiles(4);
    const repository = testRepository({ backend });
    const bad = await repository.saveUnpacked('index', damagedText);
    for (const [key, bytes] of backend.files) {
      if (key.includes(names.at(1)!)) flipBit(bytes, 60 * 8);
    }
    const problems: string[] = [];
    const index = await loadIndex(repository, {
      ...how,
      onProblem: ({ code, details }) => problems.push(`${code} ${String(details['index'])}`),
    });
    expect(problems.sort()).toEqual([`INDEX_DAMAGED ${bad}`, `UNPACKED_DAMAGED ${names.at(1)!}`]);
    expect(index.packCount).toBe(9);
  });

  it('does not take trouble of the storage for damage', async () => {
    const { backend } = await indexFiles(4);
    const rule: FaultRule = {
      operation: 'get',
      call: 3,
      count: Infinity,
      fault: { kind: 'error', code: 'BACKEND_UNAVAILABLE' },
    };
    const repository = testRepository({ backend: fault(backend, [rule]) });
    const loading = loadIndex(repository, { ...how, onProblem: () => {} });
    await expect(loading).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });

  it('stops when it is told to', async () => {
    const { backend } = await indexFiles(4);
    const signal = AbortSignal.abort();
    const loading = loadIndex(testRepository({ backend }), { ...how, signal });
    await expect(loading).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('lists once and reads every file once', async () => {
    const { backend } = await indexFiles(5);
    const recorded = record(backend);
    await loadIndex(testRepository({ backend: recorded }), how);
    expect(recorded.counts()).toEqual({ 'get index': 5, 'list index': 1 });
  });
});

test('reads what takes the place of files that vanish meanwhile', async () => {
  const { backend, names } = await indexFiles(3);
  const repository = testRepository({ backend });
  const after = await saveIndex(repository, madeUpPacks(0, 12, 4));
  const replacement = backend.files.get(`index/${after}`);
  backend.files.delete(`index/${after}`);
  const replacing = record(backend);
  const list = replacing.list.bind(replacing);
  replacing.list = async function* (type, options) {
    const files: FileStat[] = [];
    for await (const file of list(type, options)) files.push(file);
    // Once they are listed, another client replaces them by one.
    for (const name of names) backend.files.delete(`index/${name}`);
    if (replacement) backend.files.set(`index/${after}`, replacement);
    yield* files;
  };
  const loaded = await loadIndexFiles(testRepository({ backend: replacing }));
  expect(dumpIndex(loaded.index)).toEqual(indexText(madeUpPacks(0, 12, 4)));
  expect([...loaded.names]).toEqual([after]);
});

test('reads all anew if files that were read vanish with one that was not', async () => {
  const { backend, names } = await indexFiles(2);
  const [first = '', second = ''] = names.toSorted();
  // Of the packs of the first it has none: a prune has deleted them.
  const after = await saveIndex(testRepository({ backend }), madeUpPacks(6, 3, 4));
  const replacement = backend.files.get(`index/${after}`) ?? new Uint8Array(0);
  backend.files.delete(`index/${after}`);
  const isFirstRead = Promise.withResolvers<void>();
  const replacing = new (class extends ForwardingBackend {
    override async get(...call: Parameters<Backend['get']>): Promise<Uint8Array<ArrayBuffer>> {
      const [{ name }] = call;
      if (name === second) {
        await isFirstRead.promise;
        for (const each of names) backend.files.delete(`index/${each}`);
        backend.files.set(`index/${after}`, replacement);
      }
      const bytes = await this.inner.get(...call);
      if (name === first) isFirstRead.resolve();
      return bytes;
    }
  })(backend);
  const loaded = await loadIndexFiles(testRepository({ backend: replacing }));
  expect(dumpIndex(loaded.index)).toEqual(indexText(madeUpPacks(6, 3, 4)));
  expect([...loaded.names]).toEqual([after]);
});

test('an index that is replaced at each reading is a problem, not one of the past', async () => {
  const { backend, names } = await indexFiles(10);
  const files = new Map(backend.files);
  const pairs = Array.from({ length: 5 }, (_, i) => names.slice(2 * i, 2 * i + 2).toSorted());
  const show = (pair: readonly Id[] = []): void => {
    backend.files.clear();
    for (const name of pair) backend.files.set(`index/${name}`, files.get(`index/${name}`)!);
  };
  show(pairs[0]);
  const read = new Map(names.map((name) => [name, Promise.withResolvers<void>()]));
  const replacing = new (class extends ForwardingBackend {
    override async get(...call: Parameters<Backend['get']>): Promise<Uint8Array<ArrayBuffer>> {
      const [{ name }] = call;
      const at = pairs.findIndex(([, second]) => second === name);
      if (at >= 0) {
        await read.get(pairs[at]?.[0] ?? '')?.promise;
        show(pairs[at + 1]);
      }
      const bytes = await this.inner.get(...call);
      read.get(name)?.resolve();
      return bytes;
    }
  })(backend);
  const repository = testRepository({ backend: replacing });
  await expect(loadIndexFiles(repository)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  show(pairs[0]);
  const problems: HoldfastError[] = [];
  await loadIndexFiles(repository, { onProblem: (error) => void problems.push(error) });
  expect(problems.map(({ code }) => code)).toEqual(['FILE_NOT_FOUND']);
});

test('a file that stays listed and cannot be found is a problem', async () => {
  const { backend, names } = await indexFiles(2);
  const rule: FaultRule = {
    operation: 'get',
    type: 'index',
    call: 1,
    fault: { kind: 'error', code: 'FILE_NOT_FOUND' },
  };
  const problems: unknown[] = [];
  const onProblem = (error: HoldfastError): void => void problems.push(error.details['index']);
  await loadIndexFiles(testRepository({ backend: fault(backend, [rule]) }), { onProblem });
  expect(problems).toHaveLength(1);
  expect(names).toContain(problems[0]);
});
