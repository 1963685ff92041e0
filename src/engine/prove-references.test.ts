import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../base/clock.ts';
import { systemEnvironment as environment } from '../base/environment.ts';
import { HoldfastError } from '../base/errors.ts';
import { testRepository } from '../repository/index-test-support.ts';
import { rewriteIndex } from '../repository/index-rewrite.ts';
import { acquireLock, encodeLock, noIdentity } from '../repository/locks.ts';
import { openFileSource } from '../sources/files/open-file-source.ts';
import type { Backend, CallOptions, FileStat, FileType } from '../storage/backend.ts';
import { ForwardingBackend } from '../storage/forward.ts';
import { MemoryBackend, memoryKey } from '../storage/memory/memory-backend.ts';
import { record } from '../storage/record.ts';
import { backUpHeard, type HeardBackup } from './backup/backup-test-support.ts';
import { noise } from './engine-test-support.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import { proveReferences } from './prove-references.ts';
import { executePrune, planPrune, type PruneResult } from './prune.ts';
import { loadIndexFiles } from '../repository/index-load.ts';
import {
  assertWhole,
  atOnce,
  hourMs,
  inPhases,
  noLock,
  noProbe,
  prune,
  quiet,
  StatesBackend,
} from './prune/prune-test-support.ts';

let folder: string;
let backend: MemoryBackend;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'holdfast-prove-'));
  mkdirSync(`${folder}/t/sub`, { recursive: true });
  for (let i = 0; i < 5; i++) writeFileSync(`${folder}/t/sub/${i}`, noise(9000, i));
  writeFileSync(`${folder}/t/other`, noise(100_000, 77));
  backend = new MemoryBackend();
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

async function backUp(to: Backend): Promise<HeardBackup> {
  return backUpHeard(await openFileSource(['t'], { environment, workingDirectory: folder }), {
    backend: to,
    options: { workerCount: 1 },
  });
}

/** Removes the snapshot of a backup, as forget does. */
function forget({ snapshotId }: HeardBackup): void {
  backend.files.delete(memoryKey({ type: 'snapshot', name: snapshotId ?? '' }));
}

/** Runs something before index files are listed for the n-th time: the second is the proof. */
class BeforeListing extends ForwardingBackend {
  readonly #call: number;
  readonly #action: () => Promise<unknown>;
  #calls = 0;

  constructor(inner: Backend, call: number, action: () => Promise<unknown>) {
    super(inner);
    this.#call = call;
    this.#action = action;
  }

  override async *list(type: FileType, options?: CallOptions): AsyncGenerator<FileStat> {
    if (type === 'index' && ++this.#calls === this.#call) await this.#action();
    yield* this.inner.list(type, options);
  }
}

test('a backup that ends while another reads the index is no parent of that', async () => {
  let hasBegun = false;
  const late = new (class extends ForwardingBackend {
    override async *list(type: FileType, options?: CallOptions): AsyncGenerator<FileStat> {
      yield* this.inner.list(type, options);
      if (type !== 'index' || hasBegun) return;
      hasBegun = true;
      await backUp(backend);
    }
  })(backend);
  const result = await backUp(late);
  expect(result.complaints).toEqual([]);
  expect(result.parentId).toBeUndefined();
  await assertWhole(backend.files, [{ id: result.snapshotId ?? '' }]);
});

/** Deletes all that is marked. */
async function deleteMarked(): Promise<number> {
  const { deleted } = await prune(backend, { laterMs: 25 * hourMs });
  return deleted.length;
}

describe('data that is marked', () => {
  test('before a backup begins is stored again, with the first backup that needs it', async () => {
    forget(await backUp(backend));
    const { marked } = await prune(backend);
    expect(marked.length).toBe(2);
    const second = await backUp(backend);
    expect(second.summary.dataAdded).toBeGreaterThan(140_000);
    const third = await backUp(backend);
    expect(third.summary.dataAdded).toBe(0);
    expect(await deleteMarked()).toBe(2);
    const kept = [{ id: second.snapshotId ?? '' }, { id: third.snapshotId ?? '' }];
    expect(await assertWhole(backend.files, kept)).toEqual([]);
  });

  test.each([
    ['absent', false, 0],
    ['shared', true, 0],
    ['shared', false, 1],
    ['unsafe', true, 1],
    ['unsafe', false, 1],
  ] as const)('before, %s, is stored again: listings at once %s, %d times', async (...row) => {
    const [marked, listsAtOnce, times] = row;
    const first = await backUp(backend);
    forget(first);
    await prune(backend);
    const repository = testRepository({ backend: Object.assign(backend, { listsAtOnce }) });
    const loaded = await loadIndexFiles(repository);
    const notes: string[] = [];
    await proveReferences(
      new IndexedRepository(repository, loaded.index, loaded),
      { known: loaded, own: undefined, tree: first.treeId, marked },
      { environment, monitor: { ...quiet, note: (text) => notes.push(text) } },
    );
    expect(notes).toHaveLength(times);
  });

  test('between the index and the snapshot is stored again before the snapshot is', async () => {
    forget(await backUp(backend));
    const states = new StatesBackend(backend);
    const meanwhile = new BeforeListing(states, 2, () => prune(backend));
    const result = await backUp(meanwhile);
    expect(result.summary.dataAdded).toBe(0);
    expect(result.notes.join()).toMatch(/^\d+ blobs that the snapshot needs .* stored anew$/);
    for (const state of states.states) await assertWhole(state, []);
    expect(await deleteMarked()).toBe(2);
    expect(await assertWhole(backend.files, [{ id: result.snapshotId ?? '' }])).toEqual([]);
  });

  test('is found also if a file with marks is replaced while the proof reads it', async () => {
    forget(await backUp(backend));
    const readCounts = new Map<string, number>();
    const replaced = new (class extends ForwardingBackend {
      /** Each is read once to look what it is, and then for its marks: there it seems gone. */
      override get(...call: Parameters<Backend['get']>): ReturnType<Backend['get']> {
        const [{ type, name }] = call;
        const count = (readCounts.get(name) ?? 0) + 1;
        readCounts.set(name, count);
        if (type === 'index' && count === 2) throw new HoldfastError('FILE_NOT_FOUND');
        return this.inner.get(...call);
      }
    })(backend);
    const { snapshotId = '' } = await backUp(new BeforeListing(replaced, 2, () => prune(backend)));
    expect(Math.max(...readCounts.values())).toBeGreaterThan(2);
    expect(await deleteMarked()).toBe(2);
    expect(await assertWhole(backend.files, [{ id: snapshotId }])).toEqual([]);
  });

  test('after the proof and before the snapshot is kept, for the snapshot needs it', async () => {
    forget(await backUp(backend));
    const late = new (class extends ForwardingBackend {
      override async put(...call: Parameters<Backend['put']>): Promise<void> {
        if (call[0].type === 'snapshot') await prune(backend);
        await this.inner.put(...call);
      }
    })(backend);
    const { snapshotId = '' } = await backUp(late);
    expect(await assertWhole(backend.files, [{ id: snapshotId }])).toEqual([]);
    expect(await deleteMarked()).toBe(0);
    expect(await assertWhole(backend.files, [{ id: snapshotId }])).toEqual([]);
    // Not marked any more, so it is leaned on again.
    expect((await backUp(backend)).summary.dataAdded).toBe(0);
  });

  test('is stored again however often more is marked meanwhile', async () => {
    forget(await backUp(backend));
    let rounds = 0;
    const again = new (class extends ForwardingBackend {
      override async *list(type: FileType, options?: CallOptions): AsyncGenerator<FileStat> {
        if (type === 'index' && rounds++ > 0 && rounds < 4) await prune(backend);
        yield* this.inner.list(type, options);
      }
    })(backend);
    const { snapshotId = '' } = await backUp(again);
    await deleteMarked();
    expect(await assertWhole(backend.files, [{ id: snapshotId }])).toEqual([]);
  });
});

describe('data that is gone', () => {
  test('ends the backup without a snapshot', async () => {
    forget(await backUp(backend));
    const meanwhile = new BeforeListing(backend, 2, () => prune(backend, { options: atOnce }));
    await expect(backUp(meanwhile)).rejects.toEqual(
      expect.objectContaining({ code: 'REFERENCE_LOST' }),
    );
    expect([...backend.files.keys()].filter((key) => key.startsWith('snapshot/'))).toEqual([]);
    const { snapshotId = '' } = await backUp(backend);
    expect(await assertWhole(backend.files, [{ id: snapshotId }])).toEqual([]);
  });

  test('ends a backup that stored it itself', async () => {
    const losing = new (class extends ForwardingBackend {
      override async stat(...call: Parameters<Backend['stat']>): ReturnType<Backend['stat']> {
        const answer = await this.inner.stat(...call);
        // Its index file is confirmed last.
        if (call[0].type === 'index') {
          const pack = [...backend.files.keys()].find((key) => key.startsWith('pack/'));
          backend.files.delete(pack ?? '');
        }
        return answer;
      }
    })(backend);
    await expect(backUp(losing)).rejects.toEqual(
      expect.objectContaining({ code: 'REFERENCE_LOST' }),
    );
    expect([...backend.files.keys()].filter((key) => key.startsWith('snapshot/'))).toEqual([]);
  });

  test('is found missing among many that a work stored', async () => {
    const { treeId: tree } = await backUp(backend);
    const repository = testRepository({ backend });
    const loaded = await loadIndexFiles(repository);
    const indexed = new IndexedRepository(repository, loaded.index, loaded);
    const packs = [...backend.files.keys()].filter((key) => key.startsWith('pack/'));
    const others = Array.from({ length: 300 }, (_, i) => String(i).padStart(64, '0'));
    for (const name of others) backend.files.set(`pack/${name}`, new Uint8Array(1));
    const recorded = record(backend);
    const prove = (): Promise<void> => {
      const unseenPacks = new Set([...others, ...packs.map((key) => key.slice('pack/'.length))]);
      const own = { indexIds: [], unseenPacks };
      const on = new IndexedRepository(testRepository({ backend: recorded }), indexed.index);
      const proof = { known: loaded, own, tree, marked: 'absent' } as const;
      return proveReferences(on, proof, { environment, monitor: quiet });
    };
    await prove();
    expect(recorded.count({ operation: 'stat' })).toBe(0);
    for (const key of packs) backend.files.delete(key);
    await expect(prove()).rejects.toEqual(expect.objectContaining({ code: 'REFERENCE_LOST' }));
  });

  test('from the index only is stored again', async () => {
    forget(await backUp(backend));
    const unlist = async (): Promise<void> => {
      for (const key of backend.files.keys())
        if (key.startsWith('index/')) backend.files.delete(key);
    };
    const { snapshotId = '' } = await backUp(new BeforeListing(backend, 2, unlist));
    await assertWhole(backend.files, [{ id: snapshotId }]);
  });
});

test('index files that others add or join are no reason to store anything again', async () => {
  await backUp(backend);
  writeFileSync(`${folder}/t/new`, noise(5000, 1234));
  const other = async (): Promise<void> => {
    writeFileSync(`${folder}/t/newer`, noise(6000, 4321));
    await backUp(backend);
    await rewriteIndex(testRepository({ backend }), {});
  };
  const recorded = record(backend);
  const result = await backUp(new BeforeListing(recorded, 2, other));
  expect(recorded.count({ operation: 'put', type: 'pack' })).toBe(2);
  expect(result.notes).toEqual([]);
  await assertWhole(backend.files, [{ id: result.snapshotId ?? '' }]);
});

function isIndex(key: string): boolean {
  return key.startsWith('index/');
}

test('what it stored itself and no listing shows yet is not lost when others join index files', async () => {
  await backUp(backend);
  writeFileSync(`${folder}/t/more`, noise(5000, 99));
  await backUp(backend);
  const before = [...backend.files.keys()].filter(isIndex);
  const copy = new MemoryBackend();
  for (const [key, bytes] of backend.files) copy.files.set(key, bytes);
  await rewriteIndex(testRepository({ backend: copy }), {});
  const join = (): Promise<void> => {
    for (const key of before) backend.files.delete(key);
    for (const [key, bytes] of copy.files) if (isIndex(key)) backend.files.set(key, bytes);
    return Promise.resolve();
  };
  const own = new Set<string>();
  const lagging = new (class extends ForwardingBackend {
    override put(...call: Parameters<Backend['put']>): Promise<void> {
      own.add(call[0].name);
      return this.inner.put(...call);
    }

    override async *list(type: FileType, options?: CallOptions): AsyncGenerator<FileStat> {
      for await (const file of this.inner.list(type, options)) {
        if (type !== 'index' || !own.has(file.name)) yield file;
      }
    }
  })(backend);
  writeFileSync(`${folder}/t/new`, noise(5000, 1234));
  const recorded = record(lagging);
  const result = await backUp(new BeforeListing(recorded, 2, join));
  expect(recorded.count({ operation: 'put', type: 'pack' })).toBe(2);
  expect(result.notes).toEqual([]);
  await assertWhole(backend.files, [{ id: result.snapshotId ?? '' }]);
});

describe('what an operation may lean on that runs since before the mark', () => {
  const owner = { hostname: 'elsewhere', username: 'anna', pid: 1 };

  async function pruneNow(): Promise<PruneResult> {
    const repository = testRepository({ backend });
    const source = {
      repository,
      loadIndex: () => loadIndexFiles(repository),
      allowRemoveAll: true,
    };
    const context = { environment, monitor: quiet };
    const plan = await planPrune(source, { ...inPhases, keepDeleteMs: 0 }, context);
    const commit = () =>
      acquireLock(repository, { kind: 'commit', operation: 'prune', owner, probe: noProbe });
    return executePrune(plan, { lock: noLock, commit, probe: noProbe }, context);
  }

  test('is deleted only when that has ended', async () => {
    const first = await backUp(backend);
    const running = await acquireLock(testRepository({ backend }), {
      kind: 'shared',
      operation: 'backup',
      owner,
      probe: noProbe,
    });
    forget(first);
    expect(await pruneNow()).toMatchObject({ deleted: [], marked: { length: 2 } });
    expect(await pruneNow()).toMatchObject({ deleted: [], awaiting: { length: 2 } });
    await running.release();
    expect(await pruneNow()).toMatchObject({ deleted: { length: 2 }, awaiting: [] });
    expect([...backend.files.keys()].filter((key) => key.startsWith('lock/'))).toEqual([]);
  });

  test.each([-3, 0, 3])('is kept also if its clock is %i hours ahead', async (hours) => {
    const first = await backUp(backend);
    const ms = systemClock.wallMs() + hours * hourMs;
    const time = { seconds: Math.floor(ms / 1000), nanoseconds: 0 };
    const own = {
      ...noIdentity,
      instance: 'aa',
      kind: 'shared',
      operation: 'backup',
      began: time,
    } as const;
    await testRepository({ backend }).saveUnpacked(
      'lock',
      encodeLock({ ...owner, exclusive: false, time, own }),
    );
    forget(first);
    await pruneNow();
    expect(await pruneNow()).toMatchObject({ deleted: [], awaiting: { length: 2 } });
  });
});
