import { expect, test } from 'vitest';
import { systemEnvironment } from '../base/environment.ts';
import { defined } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import { type LoadedIndex, loadIndexFiles } from '../repository/index-load.ts';
import { testRepository } from '../repository/index-test-support.ts';
import type { Repository } from '../repository/repository.ts';
import { restoreHeard, SnapshotMaker, testFolder } from './engine-test-support.ts';
import { check } from './check.ts';
import { copySnapshots } from './copy.ts';
import { executePrune, planPrune } from './prune.ts';
import { inPhases, noLock, noProbe, prunable, quiet } from './prune/prune-test-support.ts';

const singleThreaded = { ...systemEnvironment, isSingleThreaded: true } as const;

/** A prune whose packs are gone when it carries out what it planned. */
async function pruneOfGonePacks(isLost: boolean): Promise<unknown> {
  const { backend } = await prunable();
  const repository = testRepository({ backend });
  const context = { environment: systemEnvironment, monitor: quiet };
  const source = { repository, loadIndex: () => loadIndexFiles(repository) };
  const plan = await planPrune(source, inPhases, context);
  expect(plan.packs.repack.length).toBeGreaterThan(0);
  for (const key of backend.files.keys()) {
    if (key.startsWith('pack/')) backend.files.delete(key);
  }
  if (isLost) repository.addWriteGuard(() => Promise.reject(new HoldfastError('LOCK_LOST')));
  const locks = { lock: noLock, commit: () => Promise.resolve(noLock), probe: noProbe };
  return executePrune(plan, locks, context).catch((error: unknown) => error);
}

test('who slept past his lock is told so, not of damage', async () => {
  expect(await pruneOfGonePacks(true)).toMatchObject({ code: 'LOCK_LOST' });
  expect(await pruneOfGonePacks(false)).toMatchObject({ code: 'BLOB_DAMAGED' });
});

/** A plan of a prune for which no snapshot is there. */
async function planAfter(happens: (repository: Repository) => unknown): Promise<unknown> {
  const { backend } = await prunable();
  const repository = testRepository({ backend });
  for (const key of backend.files.keys()) {
    if (key.startsWith('snapshot/')) backend.files.delete(key);
  }
  const loadIndex = async (): Promise<LoadedIndex> => {
    await happens(repository);
    return loadIndexFiles(repository);
  };
  const context = { environment: systemEnvironment, monitor: quiet };
  return planPrune({ repository, loadIndex }, inPhases, context).catch((error: unknown) => error);
}

test('a prune that slept does not say that there are no snapshots', async () => {
  expect(await planAfter(() => undefined)).toMatchObject({ code: 'PRUNE_REFUSED' });
  expect(await planAfter(sleep)).toMatchObject({ code: 'LOCK_LOST' });
});

const sleep = ({ absences }: Repository): unknown => absences.check(new AbortController().signal);
const lose = (repository: Repository): unknown =>
  repository.addWriteGuard(() => Promise.reject(new HoldfastError('LOCK_LOST')));

test('a restore that slept is told so, not of damage', async () => {
  const folder = testFolder();
  const maker = new SnapshotMaker();
  const snapshot = await maker.snapshotOf({ a: 'one' });
  const restoreAfter = async (
    happens: (repository: Repository) => unknown,
    before?: (repository: Repository) => unknown,
  ): Promise<unknown> => {
    const indexed = await maker.indexed();
    await before?.(indexed.repository);
    const onComplaint = (): unknown => happens(indexed.repository);
    const request = { snapshot, target: folder.fresh(), onComplaint };
    return restoreHeard(indexed, request).catch((error: unknown) => error);
  };
  expect(await restoreAfter(() => undefined)).toMatchObject({ problemCount: 0 });
  maker.backend.files.delete(`pack/${defined(maker.packs[0], 'data come first').id}`);
  expect(await restoreAfter(() => undefined)).toMatchObject({ problemCount: 1 });
  expect(await restoreAfter(sleep)).toMatchObject({ code: 'LOCK_LOST' });
  expect(await restoreAfter(lose)).toMatchObject({ code: 'LOCK_LOST' });
  // After the snapshot was chosen, and before the restore began.
  expect(await restoreAfter(() => undefined, sleep)).toMatchObject({ code: 'LOCK_LOST' });
  folder.remove();
});

test.each(['check', 'copy'] as const)(
  'a %s that slept is told so, not of damage',
  async (title) => {
    const maker = new SnapshotMaker();
    const snapshots = [await maker.snapshotOf({ a: 'one' })];
    maker.backend.files.delete(`pack/${defined(maker.packs[0], 'data come first').id}`);
    const runAfter = async (
      happens: (repository: Repository) => unknown,
      before?: (repository: Repository) => unknown,
    ): Promise<unknown> => {
      const source = await maker.indexed();
      await before?.(source.repository);
      const problem = (): unknown => happens(source.repository);
      const monitor = { ...quiet, problem, progress: () => {} };
      const context = { environment: singleThreaded, monitor };
      if (title === 'check') return check(source.repository, {}, context);
      const target = await new SnapshotMaker().indexed();
      return copySnapshots({ source, snapshots, target, existing: [], lock: undefined }, context);
    };
    const damage = title === 'check' ? { errorCount: 1 } : { failed: [snapshots[0]?.id] };
    expect(await runAfter(() => undefined)).toMatchObject(damage);
    await expect(runAfter(sleep)).rejects.toMatchObject({ code: 'LOCK_LOST' });
    await expect(runAfter(lose)).rejects.toMatchObject({ code: 'LOCK_LOST' });
    const sleptBefore = runAfter(() => undefined, sleep);
    await expect(sleptBefore).rejects.toMatchObject({ code: 'LOCK_LOST' });
  },
);
