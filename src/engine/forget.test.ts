import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemEnvironment as environment } from '../base/environment.ts';
import { type ErrorCode, HoldfastError } from '../base/errors.ts';
import { type Progress, silentMonitor } from '../base/monitor.ts';
import { markIncomplete } from '../repository/completeness.ts';
import { flipBit, saveSnapshot, testRepository } from '../repository/index-test-support.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import { loadIndexFiles } from '../repository/index-load.ts';
import type { Repository } from '../repository/repository.ts';
import { loadSnapshots, type StoredSnapshot } from '../repository/snapshots.ts';
import { parseTime } from '../repository/time-format.ts';
import type { Backend } from '../storage/backend.ts';
import { handleFor } from '../storage/conformance.ts';
import { fault, type FaultRule } from '../storage/fault.ts';
import { MemoryBackend, type MemoryFiles } from '../storage/memory/memory-backend.ts';
import { openBackend } from '../storage/open.ts';
import { record } from '../storage/record.ts';
import { temporaryFolder } from '../storage/test-support.ts';
import { SnapshotMaker } from './engine-test-support.ts';
import { type ForgetRequest, planForget, planSoundForget, removeSnapshots } from './forget.ts';
import { type Decision, isKept } from './retention/decide.ts';
import { policyWith, snapshotAt } from './retention/retention-test-support.ts';

const byHost = { host: true, paths: true, tags: false };

function plan(snapshots: Parameters<typeof planForget>[0], more: Partial<ForgetRequest>): string[] {
  const request = { policy: policyWith({ last: 1 }), groupBy: byHost, allowRemoveAll: false };
  return planForget(snapshots, { ...request, ...more }, { environment }).flatMap(({ decisions }) =>
    decisions.filter(({ reasons }) => reasons.length === 0).map(({ snapshot }) => snapshot.id),
  );
}

describe('planForget', () => {
  const days = ['01', '02', '03'].map((day) =>
    snapshotAt(`2025-12-${day}T10:00:00Z`, { hostname: 'h' }),
  );
  const ids = days.map(({ id }) => id);

  test('decides group by group', () => {
    const other = snapshotAt('2025-11-01T10:00:00Z', { hostname: 'other' });
    expect(plan([...days, other], {})).toEqual([ids[1], ids[0]]);
    const noGroups = { host: false, paths: false, tags: false };
    expect(plan([...days, other], { groupBy: noGroups })).toEqual([ids[1], ids[0], other.id]);
  });

  test('refuses to remove all without being told to', () => {
    const policy = policyWith({});
    expect(() => plan(days, { policy })).toThrow(/no policy was specified/);
    expect(plan(days, { policy, allowRemoveAll: true })).toEqual(ids.toReversed());
    const tags = policyWith({ tags: [['none']] });
    for (const allowRemoveAll of [false, true]) {
      expect(() => plan(days, { policy: tags, allowRemoveAll })).toThrow(
        'refusing to delete last snapshot of snapshot group "host h, path [/a]"',
      );
    }
  });

  test('one group that would be left without any is enough to refuse', () => {
    const tagged = snapshotAt('2025-11-01T10:00:00Z', { hostname: 'a', tags: ['x'] });
    const policy = policyWith({ tags: [['x']] });
    expect(() => plan([tagged, ...days], { policy })).toThrow(/refusing to delete last snapshot/);
    expect(plan([tagged], { policy })).toEqual([]);
  });

  test('refuses to remove the last sound snapshot of a group', () => {
    const partial = snapshotAt('2025-12-04T10:00:00Z', {
      hostname: 'h',
      tags: ['x'],
      programVersion: markIncomplete('holdfast 1.0.0'),
    });
    const policy = policyWith({ tags: [['x']] });
    const snapshots = [...days, partial];
    expect(() => plan(snapshots, { policy })).toThrow(/last sound snapshot of .*"host h,/);
    expect(plan(snapshots, { policy, allowRemoveAll: true })).toHaveLength(3);
    expect(plan([partial], { policy })).toEqual([]);
  });
});

interface Made {
  readonly maker: SnapshotMaker;
  /** Oldest first, each with a pack of trees of its own. */
  readonly snapshots: readonly StoredSnapshot[];
}

async function make(count: number): Promise<Made> {
  const maker = new SnapshotMaker();
  const snapshots: StoredSnapshot[] = [];
  for (let i = 0; i < count; i++) {
    const time = { seconds: 1_700_000_000 + i, nanoseconds: 0, offsetMinutes: 0 };
    snapshots.push(await maker.snapshot(maker.folder({ [`file${i}`]: '' }), time));
  }
  return { maker, snapshots };
}

describe('planSoundForget', () => {
  const request = { policy: policyWith({ last: 1 }), groupBy: byHost, allowRemoveAll: false };

  /** Numbers of the snapshots that are kept, oldest first, and the calls that this took. */
  async function keptOf(
    { maker, snapshots }: Made,
    more: Partial<ForgetRequest> = {},
  ): Promise<{ readonly kept: number[]; readonly damaged: number[]; readonly gets: number }> {
    const backend = record(maker.backend);
    const repository = testRepository({ backend });
    let loadCount = 0;
    const loadIndex = async (): Promise<IndexedRepository> => {
      loadCount++;
      const loaded = await loadIndexFiles(repository);
      return new IndexedRepository(repository, loaded.index, loaded);
    };
    const how = { ...request, ...more, loadIndex };
    const groups = await planSoundForget(snapshots, how, { environment, monitor: silentMonitor });
    expect(loadCount).toBeLessThanOrEqual(1);
    const decisions = groups.flatMap((group) => group.decisions);
    const numbersOf = (some: readonly Decision[]): number[] =>
      some.map(({ snapshot }) => snapshots.indexOf(snapshot)).toSorted((a, b) => a - b);
    return {
      kept: numbersOf(decisions.filter(isKept)),
      damaged: numbersOf(decisions.filter(({ unsound }) => unsound === 'damaged')),
      gets: backend.count({ operation: 'get', type: 'pack' }),
    };
  }

  const damages: readonly (readonly [string, (files: MemoryFiles, key: string) => void])[] = [
    ['gone', (files, key) => void files.delete(key)],
    ['empty', (files, key) => void files.set(key, new Uint8Array())],
    ['rotten', (files, key) => flipBit(files.get(key) ?? new Uint8Array(), 99)],
  ];

  test.each(damages)('a snapshot whose tree is %s pushes none out', async (_, damage) => {
    const made = await make(4);
    for (const pack of made.maker.packs.slice(2))
      damage(made.maker.backend.files, `pack/${pack.id}`);
    expect(await keptOf(made)).toMatchObject({ kept: [1, 3], damaged: [2, 3] });
    expect(await keptOf(made, { policy: policyWith({ last: 2 }) })).toMatchObject({
      kept: [0, 1, 2, 3],
      damaged: [2, 3],
    });
  });

  test('one small read for each tree that others make way for', async () => {
    expect(await keptOf(await make(5))).toEqual({ kept: [4], damaged: [], gets: 1 });
  });

  test('nothing is read where nothing goes', async () => {
    const made = await make(2);
    const { gets } = await keptOf(made, { policy: policyWith({ last: 5 }) });
    expect(gets).toBe(0);
  });

  test('if all are damaged the policy counts as ever', async () => {
    const made = await make(3);
    for (const { id } of made.maker.packs) made.maker.backend.files.delete(`pack/${id}`);
    expect(await keptOf(made)).toMatchObject({ kept: [2], damaged: [0, 1, 2] });
  });

  test('a storage that does not answer is no damage', async () => {
    const { maker, snapshots } = await make(3);
    const rule = {
      operation: 'get',
      type: 'pack',
      fault: { kind: 'error', code: 'BACKEND_UNAVAILABLE' },
    };
    const repository = testRepository({ backend: fault(maker.backend, [rule as FaultRule]) });
    const loaded = await loadIndexFiles(repository);
    const loadIndex = (): Promise<IndexedRepository> =>
      Promise.resolve(new IndexedRepository(repository, loaded.index, loaded));
    const planned = planSoundForget(
      snapshots,
      { ...request, loadIndex },
      { environment, monitor: silentMonitor },
    );
    await expect(planned).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });
});

interface Bed {
  readonly backend: MemoryBackend;
  readonly ids: readonly string[];
  /** Removes them, by way of a storage that wraps the backend. */
  readonly remove: (through?: Backend) => ReturnType<typeof removeSnapshots>;
  readonly left: () => Promise<string[]>;
}

async function bed(): Promise<Bed> {
  const backend = new MemoryBackend();
  const repository = testRepository({ backend });
  const ids: string[] = [];
  for (const day of ['01', '02', '03']) {
    const time = parseTime(`2025-12-${day}T00:00:00Z`);
    ids.push(await saveSnapshot(repository, { time, tree: '0'.repeat(64), paths: [] }));
  }
  const monitor = { ...silentMonitor, progress: () => {} };
  return {
    backend,
    ids,
    remove: (through = backend) => {
      const wrapped = testRepository({ backend: through });
      return removeSnapshots(wrapped, ids, { environment, monitor });
    },
    left: async () => (await loadSnapshots(repository)).map(({ id }) => id),
  };
}

/** So many snapshots, with no content worth reading, in a folder behind what `openBackend` puts around it. */
async function folderBed(
  count: number,
): Promise<{ readonly repository: Repository; readonly ids: string[]; readonly root: string }> {
  const folder = temporaryFolder();
  onTestFinished(() => folder.remove());
  const root = join(folder.path, 'repository');
  const backend = await openBackend(root, { environment });
  await backend.create();
  const ids = Array.from({ length: count }, (_, i) => handleFor('snapshot', `${i}`).name);
  for (const id of ids) writeFileSync(join(root, 'snapshots', id), id);
  return { repository: testRepository({ backend }), ids, root };
}

function failing(backend: Backend, call: number, code: ErrorCode): Backend {
  const fails = { operation: 'remove', type: 'snapshot', call } as const;
  return fault(backend, [{ ...fails, fault: { kind: 'error', code } }]);
}

describe('removeSnapshots', () => {
  test('removes each and does nothing else', async () => {
    const { backend, ids, remove, left } = await bed();
    const recorded = record(backend);
    expect(await remove(recorded)).toEqual({ removed: ids, failed: [] });
    expect(recorded.calls.map(({ operation, name }) => `${operation} ${name}`)).toEqual(
      ids.map((id) => `remove ${id}`),
    );
    expect(await left()).toEqual([]);
  });

  test('one that cannot go does not keep the others, and the next run takes it', async () => {
    const { backend, ids, remove, left } = await bed();
    const result = await remove(failing(backend, 2, 'PERMISSION_DENIED'));
    expect(result.removed).toEqual([ids[0], ids[2]]);
    expect(result.failed).toHaveLength(1);
    expect(result.failed).toMatchObject([{ id: ids[1], error: { code: 'PERMISSION_DENIED' } }]);
    expect(await left()).toEqual([ids[1]]);
    // The others are gone already, which is what was wanted.
    expect(await remove()).toEqual({ removed: ids, failed: [] });
    expect(await left()).toEqual([]);
  });

  test('many of a folder go at once; one that cannot go is told, and keeps no other', async () => {
    const { repository, ids, root } = await folderBed(600);
    const stuck = 'f'.repeat(64);
    mkdirSync(join(root, 'snapshots', stuck));
    const heard: Progress[] = [];
    const monitor = { ...silentMonitor, progress: (progress: Progress) => heard.push(progress) };
    const all = [...ids.slice(0, 300), stuck, ...ids.slice(300)];
    const { removed, failed } = await removeSnapshots(repository, all, { environment, monitor });
    expect(removed.toSorted()).toEqual(ids.toSorted());
    expect(failed).toMatchObject([{ id: stuck }]);
    expect(heard.at(-1)).toMatchObject({ filesDone: 601, filesTotal: 601, errorCount: 1 });
    expect(readdirSync(join(root, 'snapshots'))).toEqual([stuck]);
  });

  test('none goes any more once the lock is lost', async () => {
    const { repository, ids, root } = await folderBed(100);
    let asked = 0;
    repository.addWriteGuard(() =>
      asked++ < 40 ? undefined : Promise.reject(new HoldfastError('LOCK_LOST')),
    );
    const monitor = { ...silentMonitor, progress: () => {} };
    const removing = removeSnapshots(repository, ids, { environment, monitor });
    await expect(removing).rejects.toMatchObject({ code: 'LOCK_LOST' });
    // The first time it was asked for all of them, and once more where they wait for their turn.
    const left = readdirSync(join(root, 'snapshots')).length;
    expect(left).toBeGreaterThanOrEqual(60);
    expect(left).toBeLessThan(100);
  });

  test('a storage that no longer answers ends it', async () => {
    const { backend, ids, remove, left } = await bed();
    const broken = failing(backend, 2, 'BACKEND_UNAVAILABLE');
    await expect(remove(broken)).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    expect(await left()).toContain(ids[1]);
  });
});
