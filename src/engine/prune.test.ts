import { describe, expect, test } from 'vitest';
import { defined } from '../base/assert.ts';
import { concatBytes } from '../base/bytes.ts';
import { systemEnvironment } from '../base/environment.ts';
import { HoldfastError } from '../base/errors.ts';
import { type PackedBlob, PackedBlobs } from '../repository/blob.ts';
import { packSizeOf } from '../repository/pack-header.ts';
import { idBytes } from '../repository/id.ts';
import { encodeIndex } from '../repository/index-file.ts';
import { loadIndexFiles } from '../repository/index-load.ts';
import { rewriteIndex } from '../repository/index-rewrite.ts';
import { loadAllMarks, saveSnapshot, testRepository } from '../repository/index-test-support.ts';
import { markAgeMs, type PackMark } from '../repository/pack-marks.ts';
import type { Backend } from '../storage/backend.ts';
import { fault, type FaultRule } from '../storage/fault.ts';
import { ForwardingBackend } from '../storage/forward.ts';
import type { MemoryBackend } from '../storage/memory/memory-backend.ts';
import { type Operation, record } from '../storage/record.ts';
import { madeOfPieces, noise, SnapshotMaker } from './engine-test-support.ts';
import { executePrune, planPrune } from './prune.ts';
import {
  assertWhole,
  atOnce,
  clockAhead,
  FullBackend,
  hourMs,
  inPhases,
  noLock,
  noProbe,
  packsOf,
  prunable,
  prune,
  type PruneHow,
  quiet,
  StatesBackend,
} from './prune/prune-test-support.ts';

/** Does not let anybody read some packs. */
class RefusingBackend extends ForwardingBackend {
  readonly #refused: ReadonlySet<string>;

  constructor(inner: Backend, refused: ReadonlySet<string>) {
    super(inner);
    this.#refused = refused;
  }

  override get(...call: Parameters<Backend['get']>): ReturnType<Backend['get']> {
    const isRefused = call[0].type === 'pack' && this.#refused.has(call[0].name);
    return isRefused
      ? Promise.reject(new HoldfastError('PERMISSION_DENIED'))
      : this.inner.get(...call);
  }
}

function marksOf(backend: Backend): Promise<readonly PackMark[]> {
  return loadAllMarks(testRepository({ backend }));
}

const later: PruneHow = { laterMs: 25 * hourMs };
const now: PruneHow = { options: atOnce };

const withoutRepacking = { ...inPhases, policy: { ...inPhases.policy, maxRepackBytes: 0 } };

/** Fail at every call, not only at every one that changes something. */
const isLong = process.env['HOLDFAST_FAULTS'] === 'all';
/** The packs that are left when all is done. */
const packsLeft = 4;

describe('at once', () => {
  test('removes what is not needed, and every state on the way is whole', async () => {
    const { backend, kept } = await prunable();
    const states = new StatesBackend(backend);
    await prune(states, now);
    expect(states.states.length).toBeGreaterThan(8);
    for (const state of states.states) await assertWhole(state, kept);
    expect(await assertWhole(backend.files, kept)).toEqual([]);
    expect(packsOf(backend.files)).toHaveLength(packsLeft);
    const again = record(backend);
    await prune(again, now);
    expect(again.count({ operation: 'put' }) + again.count({ operation: 'remove' })).toBe(0);
  });

  test('removes packs that are marked, without waiting', async () => {
    const { backend, kept } = await prunable();
    await prune(backend);
    await prune(backend, now);
    expect(await marksOf(backend)).toEqual([]);
    expect(await assertWhole(backend.files, kept)).toEqual([]);
    expect(packsOf(backend.files)).toHaveLength(packsLeft);
  });
});

describe('in two phases', () => {
  test('first marks and only adds, later deletes, and every state on the way is whole', async () => {
    const { backend, kept } = await prunable();
    const before = new Map(backend.files);
    const states = new StatesBackend(backend);
    const { marked } = await prune(states);
    expect(marked.length).toBeGreaterThan(3);
    for (const key of before.keys()) expect(backend.files.has(key)).toBe(true);
    const early = record(backend);
    await prune(early, { laterMs: 23 * hourMs });
    expect(early.count({ operation: 'put' }) + early.count({ operation: 'remove' })).toBe(0);
    const { deleted, marked: more } = await prune(states, later);
    expect(deleted.map(({ id }) => id).toSorted()).toEqual(marked.map(({ id }) => id).toSorted());
    expect(more).toEqual([]);
    for (const state of states.states) await assertWhole(state, kept);
    expect(await assertWhole(backend.files, kept)).toEqual([]);
    expect(packsOf(backend.files)).toHaveLength(packsLeft);
    expect(await marksOf(backend)).toEqual([]);
  });

  test('a mark from the future counts as made now', async () => {
    const { backend } = await prunable();
    await prune(backend, { laterMs: 300 * hourMs });
    const packs = packsOf(backend.files);
    await prune(backend, later);
    expect(packsOf(backend.files)).toEqual(packs);
    await prune(backend, { laterMs: 325 * hourMs });
    expect(packsOf(backend.files)).toHaveLength(packsLeft);
  });

  test('what a snapshot needs by then is no longer marked', async () => {
    const { backend, gone, kept } = await prunable();
    await prune(backend);
    const marked = (await marksOf(backend)).length;
    const { id: _, ...snapshot } = defined(gone[0], 'a snapshot is gone');
    const id = await saveSnapshot(testRepository({ backend }), snapshot);
    const states = new StatesBackend(backend);
    const { deleted } = await prune(states, later);
    expect(deleted.length).toBeGreaterThan(0);
    expect(deleted.length).toBeLessThan(marked);
    const snapshots = [...kept, { id }];
    for (const state of states.states) await assertWhole(state, snapshots);
    expect(await assertWhole(backend.files, snapshots)).toEqual([]);
    expect((await marksOf(backend)).map(({ time }) => time?.seconds).every(Boolean)).toBe(true);
  });

  test('a snapshot that appears while it works keeps what it needs unmarked', async () => {
    const { backend, gone, kept } = await prunable();
    const { id: _, ...snapshot } = defined(gone[0], 'a snapshot is gone');
    const appearing = record(backend);
    const list = appearing.list.bind(appearing);
    let id = '';
    let calls = 0;
    appearing.list = async function* (type, options) {
      if (type === 'snapshot' && ++calls === 2) {
        id = await saveSnapshot(testRepository({ backend }), snapshot);
      }
      yield* list(type, options);
    };
    await prune(appearing);
    await prune(backend, later);
    expect(await assertWhole(backend.files, [...kept, { id }])).toEqual([]);
  });

  test('packs that another program only marked are listed again if they are needed', async () => {
    const { backend, kept, maker } = await prunable();
    const repository = testRepository({ backend });
    const marks = maker.packs.map((pack) => ({
      id: pack.id,
      blobs: pack.blobs,
      time: { seconds: 1_600_000_000, nanoseconds: 0 },
      sizeBytes: pack.bytes.byteLength,
    }));
    // As rustic leaves it: marked, and listed no more.
    await rewriteIndex(repository, { removed: new Set(marks.map(({ id }) => id)) });
    await repository.saveUnpacked('index', encodeIndex([], marks));
    await prune(backend);
    await assertWhole(backend.files, kept);
    await prune(backend, later);
    await prune(backend, { laterMs: 60 * hourMs });
    expect(await assertWhole(backend.files, kept)).toEqual([]);
    expect(packsOf(backend.files)).toHaveLength(packsLeft);
  });

  test.each([true, false])(
    'a marked pack is gone, and a repair has stored anew what it held: %s',
    async (isReplaced) => {
      const { backend, gone, kept } = await prunable();
      await prune(backend);
      const { id: _, ...snapshot } = defined(gone[0], 'a snapshot is gone');
      const repository = testRepository({ backend });
      const needed = { id: await saveSnapshot(repository, snapshot) };
      const marks = (await marksOf(backend)).filter(({ blobs }) => blobs.count > 0);
      const removed = new Set(marks.map(({ id }) => id));
      await rewriteIndex(repository, { removed, keepsMark: () => true });
      // Together with what nobody needs, so that a copy that is alone in its pack would be preferred.
      const whole: Uint8Array[] = [];
      const blobs: PackedBlob[] = [];
      let offset = 0;
      for (const mark of marks) {
        const bytes = defined(backend.files.get(`pack/${mark.id}`), 'what is marked is stored');
        backend.files.delete(`pack/${mark.id}`);
        whole.push(bytes);
        for (const blob of mark.blobs.iterate()) {
          blobs.push({ ...blob, offset: offset + blob.offset });
        }
        offset += bytes.byteLength;
      }
      if (isReplaced) {
        const name = 'e'.repeat(64);
        const size = packSizeOf(blobs);
        backend.files.set(`pack/${name}`, concatBytes(whole).slice(0, size));
        const listed = { id: idBytes(name), blobs: PackedBlobs.from(blobs) };
        await repository.saveUnpacked('index', encodeIndex([listed], []));
      }
      const pruned = prune(backend, later);
      if (!isReplaced) return expect(pruned).rejects.toMatchObject({ code: 'BLOB_DAMAGED' });
      await pruned;
      await assertWhole(backend.files, [...kept, needed]);
    },
  );

  test('a pack in no index is marked, and its mark is void once one lists it', async () => {
    const { backend, maker, kept } = await prunable();
    const tree = maker.folder({ running: 'a backup that runs' });
    const indexFiles = new Set(backend.files.keys());
    const packs = await maker.store();
    const index = [...backend.files].filter(
      ([key]) => key.startsWith('index/') && !indexFiles.has(key),
    );
    for (const [key] of index) backend.files.delete(key);
    await prune(backend);
    const marked = new Set((await marksOf(backend)).map(({ id }) => id));
    for (const { id } of packs) expect(marked.has(id)).toBe(true);
    for (const [key, bytes] of index) backend.files.set(key, bytes);
    const snapshot = await maker.snapshot(tree);
    await prune(backend, later);
    await assertWhole(backend.files, [...kept, snapshot]);
    for (const { id } of packs) expect(backend.files.has(`pack/${id}`)).toBe(true);
  });

  test.each([
    ['at once', now],
    ['in two phases', {}],
  ])('a listed pack is gone, and other packs have all that it held: %s', async (_, how) => {
    const { packs } = await storedTwice();
    for (const at of packs.keys()) {
      const { backend } = await storedTwice();
      const key = defined(packsOf(backend.files)[at], 'as many each time');
      backend.files.delete(key);
      await prune(backend, how);
      await prune(backend, { ...how, ...later });
      expect(await assertWhole(backend.files, [])).toEqual([]);
      expect(packsOf(backend.files)).toHaveLength(packs.length / 2);
    }
  });

  test('a copy stays if the other one is gone by then', async () => {
    const { backend, packs } = await storedTwice();
    const { marked } = await prune(backend);
    const isMarked = (key: string): boolean => marked.some(({ id }) => key === `pack/${id}`);
    expect(packs.filter(isMarked).length).toBeGreaterThan(0);
    const recorded = record(backend);
    const list = recorded.list.bind(recorded);
    let calls = 0;
    recorded.list = async function* (type, options) {
      if (type === 'pack' && ++calls === 2) {
        for (const key of packs) if (!isMarked(key)) backend.files.delete(key);
      }
      yield* list(type, options);
    };
    await prune(recorded, later).catch(() => undefined);
    expect(calls).toBeGreaterThan(1);
    for (const { id } of marked) expect(backend.files.has(`pack/${id}`)).toBe(true);
  });

  test('marks that took long to be stored get a later time', async () => {
    const { backend } = await prunable();
    let aheadMs = 0;
    const clock = clockAhead(() => aheadMs);
    const slow = record(backend);
    const put = slow.put.bind(slow);
    slow.put = async (handle, parts, options) => {
      await put(handle, parts, options);
      // The machine slept amid the first.
      if (aheadMs === 0) aheadMs = 20 * hourMs;
    };
    const { marked } = await prune(slow, { clock, options: withoutRepacking });
    const marks = await marksOf(backend);
    expect(marks.length).toBe(marked.length);
    for (const mark of marks) expect(markAgeMs(mark, clock.wallNs())).toBeLessThan(hourMs);
  });

  test('marks that took long are taken back if the lock was lost meanwhile', async () => {
    const { backend } = await prunable();
    let aheadMs = 0;
    const clock = clockAhead(() => aheadMs);
    const slow = record(backend);
    const put = slow.put.bind(slow);
    slow.put = async (handle, parts, how) => {
      await put(handle, parts, how);
      aheadMs = 20 * hourMs;
    };
    const repository = testRepository({ backend: slow, clock });
    const source = { repository, loadIndex: () => loadIndexFiles(repository) };
    const context = { environment: { ...systemEnvironment, clock }, monitor: quiet };
    const plan = await planPrune(source, withoutRepacking, context);
    const lost = new HoldfastError('LOCK_LOST');
    repository.addWriteGuard((surely) => (surely ? Promise.reject(lost) : undefined));
    const before = new Set(backend.files.keys());
    const locks = { lock: noLock, commit: () => Promise.resolve(noLock), probe: noProbe };
    await expect(executePrune(plan, locks, context)).rejects.toBe(lost);
    expect(slow.count({ operation: 'put' })).toBe(1);
    expect(new Set(backend.files.keys())).toEqual(before);
  });

  test('a pack with another size than when it was marked stays', async () => {
    const { backend } = await prunable();
    await prune(backend);
    const key = `pack/${'f'.repeat(64)}`;
    backend.files.set(key, new Uint8Array(7));
    const { deleted } = await prune(backend, later);
    expect(deleted.length).toBeGreaterThan(0);
    expect(backend.files.has(key)).toBe(true);
  });
});

/** A snapshot whose blobs are in two packs each. @returns these, as keys */
async function storedTwice(): Promise<{ backend: MemoryBackend; packs: readonly string[] }> {
  const makers = [new SnapshotMaker(), new SnapshotMaker()];
  for (const maker of makers) await maker.snapshotOf({ file: madeOfPieces([noise(3000, 1)]) });
  const [{ backend } = defined(makers[0], 'there is a maker'), other] = makers;
  for (const [key, bytes] of other?.backend.files ?? []) {
    if (!key.startsWith('snapshot/')) backend.files.set(key, bytes);
  }
  return { backend, packs: packsOf(backend.files) };
}

function damage(backend: MemoryBackend, key: string): void {
  const bytes = backend.files.get(key);
  if (bytes)
    backend.files.set(
      key,
      bytes.map((byte, at) => (at === 40 ? byte ^ 1 : byte)),
    );
}

function damageIndex({ backend }: { readonly backend: MemoryBackend }): void {
  damage(backend, [...backend.files.keys()].find((key) => key.startsWith('index/')) ?? '');
}

describe.each([
  ['at once', now],
  ['in two phases', later],
] as const)('%s nothing is removed', (_, how) => {
  async function expectRefusal(
    break_: (bed: Awaited<ReturnType<typeof prunable>>) => void | Promise<void>,
    code: string,
    rules: readonly FaultRule[] = [],
  ): Promise<void> {
    const bed = await prunable();
    await prune(bed.backend);
    await break_(bed);
    const recorded = record(fault(bed.backend, rules));
    const error: unknown = await prune(recorded, { ...how, allowRemoveAll: false }).catch(
      (e: unknown) => e,
    );
    expect(error).toEqual(expect.objectContaining({ code }));
    expect(recorded.count({ operation: 'remove' }) + recorded.count({ operation: 'put' })).toBe(0);
  }
  test('if an index file cannot be read', async () => {
    await expectRefusal(damageIndex, 'UNPACKED_DAMAGED');
  });

  test('if a snapshot cannot be read', async () => {
    await expectRefusal(
      ({ backend, kept }) => damage(backend, `snapshot/${kept[0]?.id}`),
      'UNPACKED_DAMAGED',
    );
  });

  test('if a snapshot is listed and cannot be found', async () => {
    await expectRefusal(() => {}, 'SNAPSHOT_NOT_FOUND', [
      {
        operation: 'get',
        type: 'snapshot',
        call: 1,
        fault: { kind: 'error', code: 'FILE_NOT_FOUND' },
      },
    ]);
  });

  test.each([['snapshots'], ['snapshots', 'index']])(
    'if there are no %s, which a copy may have left out',
    async (...folders) => {
      await expectRefusal(({ backend }) => {
        for (const key of backend.files.keys()) {
          if (folders.some((folder) => folder.startsWith(key.split('/')[0] ?? ''))) {
            backend.files.delete(key);
          }
        }
      }, 'PRUNE_REFUSED');
    },
  );

  test('if a tree cannot be read', async () => {
    await expectRefusal(({ backend, maker, kept }) => {
      for (const pack of maker.packs) {
        if (pack.type !== 'tree') continue;
        const isKept = [...pack.blobs.iterate()].some(
          ({ id }) => Buffer.from(id).toString('hex') === kept[1]?.tree,
        );
        if (isKept) damage(backend, `pack/${pack.id}`);
      }
      // The copy that the first run made, too.
      for (const key of packsOf(backend.files)) {
        if (!maker.packs.some(({ id }) => key === `pack/${id}`)) damage(backend, key);
      }
    }, 'BLOB_DAMAGED');
  });

  test('if listing fails in the middle', async () => {
    for (const type of ['snapshot', 'index', 'pack'] as const) {
      await expectRefusal(() => {}, 'BACKEND_READ_FAILED', [
        {
          operation: 'list',
          type,
          call: 1,
          fault: { kind: 'error-after', code: 'BACKEND_READ_FAILED' },
        },
      ]);
    }
  });
});

test('without snapshots, all goes if that is asked for, and what was marked then without asking again', async () => {
  const { backend, kept } = await prunable();
  for (const { id } of kept) backend.files.delete(`snapshot/${id}`);
  const { marked } = await prune(backend);
  const { deleted } = await prune(backend, { ...later, allowRemoveAll: false });
  expect(deleted).toHaveLength(marked.length);
  expect(packsOf(backend.files)).toEqual([]);
  // Nothing is there that could go.
  await prune(backend, { ...now, allowRemoveAll: false });
});

describe('one listing that lacks', () => {
  test.each(['snapshot', 'index', 'pack'] as const)('a %s takes nothing away', async (type) => {
    for (const how of [now, {}, later]) {
      const { backend, kept } = await prunable();
      if (how === later) await prune(backend);
      const names = [...backend.files.keys()].filter((key) => key.startsWith(`${type}/`));
      for (const key of names) {
        const files = new Map(backend.files);
        const name = (each: string): boolean => key === `${type}/${each}`;
        const copy = Object.assign(Object.create(Object.getPrototypeOf(backend)), backend, {
          files,
        });
        const faulty = fault(copy as MemoryBackend, [
          { operation: 'list', type, call: 1, fault: { kind: 'hidden', name } },
        ]);
        await prune(faulty, how).catch(() => undefined);
        await assertWhole(files, kept);
      }
    }
  });
});

test.each([
  ['at once', now],
  ['in the second phase', later],
] as const)(
  '%s no index file lists what was deleted because one listing lacked it',
  async (_, how) => {
    for (let call = 1; ; call++) {
      const { backend, kept } = await prunable();
      if (how === later) await prune(backend);
      const faulty = fault(backend, [
        { operation: 'list', type: 'index', call, fault: { kind: 'hidden', name: () => true } },
      ]);
      await prune(faulty, how).catch(() => undefined);
      if (faulty.faultCount === 0) break;
      await assertWhole(backend.files, kept);
      expect(call).toBeLessThan(9);
    }
  },
);

describe.each([
  ['at once', now, false],
  ['in the first phase', {}, false],
  ['in the second phase', later, true],
] as const)('a failure %s', (_, how, isSecond) => {
  /** Prunes with one failing call. @returns false if there is no such call */
  async function holds(operation: Operation, call: number): Promise<boolean> {
    const { backend, kept } = await prunable();
    if (isSecond) await prune(backend);
    const code = call % 2 ? 'BACKEND_UNAVAILABLE' : 'PERMISSION_DENIED';
    const faulty = fault(backend, [{ operation, call, fault: { kind: 'error', code } }]);
    await prune(faulty, how).catch(() => undefined);
    if (faulty.faultCount === 0) return false;
    await assertWhole(backend.files, kept);
    if (how === now) await prune(backend, now);
    else for (const days of [1, 3]) await prune(backend, { laterMs: days * 25 * hourMs });
    const hints = await assertWhole(backend.files, kept);
    // An old index file that could not be removed does no harm; restic leaves it as well.
    expect(hints.filter((hint) => !hint.endsWith('several indexes'))).toEqual([]);
    expect(packsOf(backend.files)).toHaveLength(packsLeft);
    return true;
  }

  test.each(['put', 'remove', 'stat', 'get', 'list'] as const)(
    'of any %s leaves all whole, and the next run completes it',
    async (operation) => {
      let failures = 0;
      const changes = operation === 'put' || operation === 'remove';
      const step = isLong ? 1 : changes ? 3 : 9;
      for (let call = 1; await holds(operation, call); call += step) failures++;
      const isAdding = operation === 'remove' && how !== now && !isSecond;
      expect(failures > 0).toBe(!isAdding);
    },
  );
});

describe('on a full storage', () => {
  test('packs in no index, and what was marked, are deleted', async () => {
    const { backend, kept } = await prunable();
    await prune(backend);
    const { deleted } = await prune(new FullBackend(backend, 0), later);
    expect(deleted.length).toBeGreaterThan(3);
    expect(await assertWhole(backend.files, kept)).toEqual([]);
    expect(packsOf(backend.files)).toHaveLength(packsLeft);
  });

  test('at once, without repacking, everything without use goes', async () => {
    const { backend, kept } = await prunable();
    const before = packsOf(backend.files).length;
    const policy = { ...atOnce.policy, maxRepackBytes: 0 };
    await prune(new FullBackend(backend, 0), { options: { ...atOnce, policy } });
    expect(packsOf(backend.files).length).toBeLessThan(before - 2);
    expect(await assertWhole(backend.files, kept)).toEqual([]);
  });

  test('that stays full says that the index lists what is gone, and the next run mends it', async () => {
    const { backend, kept } = await prunable();
    const full = { kind: 'error', code: 'STORAGE_FULL' } as const;
    const noIndex = fault(backend, [{ operation: 'put', type: 'index', count: 100, fault: full }]);
    const notes: string[] = [];
    const monitor = { ...quiet, note: (text: string): unknown => notes.push(text) };
    const policy = { ...atOnce.policy, maxRepackBytes: 0 };
    const run = prune(noIndex, { options: { ...atOnce, policy }, monitor });
    await expect(run).rejects.toEqual(expect.objectContaining({ code: 'STORAGE_FULL' }));
    expect(notes.at(-1)).toMatch(/^\d packs that nobody needs are gone, and the index lists them/);
    await prune(backend, { options: atOnce });
    expect(await assertWhole(backend.files, kept)).toEqual([]);
  });

  test('repacking what the storage refuses to give says so, and not that it is damaged', async () => {
    const { backend, kept, maker } = await prunable();
    const refused = new Set(maker.packs.filter(({ type }) => type === 'data').map(({ id }) => id));
    const run = prune(new RefusingBackend(backend, refused), { options: inPhases });
    await expect(run).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringMatching(
        /^\d+ blobs that snapshots need cannot be read: permission denied$/,
      ),
      hint: expect.stringMatching(/^Nothing was removed\. /),
    });
    await assertWhole(backend.files, kept);
  });

  test('repacking that finds no room leaves all as it was', async () => {
    const { backend, kept } = await prunable();
    const run = prune(new FullBackend(backend, 100), { options: inPhases });
    await expect(run).rejects.toEqual(expect.objectContaining({ code: 'STORAGE_FULL' }));
    await assertWhole(backend.files, kept);
  });
});
