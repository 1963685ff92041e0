import { beforeEach, describe, expect, test } from 'vitest';
import { systemEnvironment as environment } from '../base/environment.ts';
import { flipBit, testRepository } from '../repository/index-test-support.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import { loadIndexFiles } from '../repository/index-load.ts';
import { listParity, removeParity } from '../repository/parity.ts';
import { paritySettingName } from '../repository/parity-setting.ts';
import { loadSnapshots } from '../repository/snapshots.ts';
import type { Backend } from '../storage/backend.ts';
import { ForwardingBackend } from '../storage/forward.ts';
import { MemoryBackend, type MemoryFiles } from '../storage/memory/memory-backend.ts';
import { silentMonitor } from '../base/monitor.ts';
import { copySnapshots } from './copy.ts';
import { atOnce, hourMs, inPhases, packsOf, prunable, prune } from './prune/prune-test-support.ts';
import { rewriteSnapshots, type Selection } from './rewrite.ts';
import { check, type CheckResult } from './check.ts';
import { madeFile, noise, SnapshotMaker } from './engine-test-support.ts';
import { loadParityStatus, updateParity } from './parity.ts';
import { executeIndexRepair, planIndexRepair } from './repair-index.ts';
import { type PackRepairResult, repairPacks } from './repair-packs.ts';
import { hearRepair, stopEverywhere } from './repair/repair-test-support.ts';

let maker: SnapshotMaker;
let files: MemoryFiles;
let packs: string[];

beforeEach(async () => {
  maker = new SnapshotMaker();
  files = maker.backend.files;
  await maker.snapshotOf({ one: madeFile(noise(30_000, 1)), two: madeFile(noise(9_000, 2)) });
  packs = maker.packs.map(({ id }) => id);
  await updateParity(maker.repository, 10, hearRepair().context);
});

function checked(of: MemoryFiles = files): Promise<CheckResult> {
  const repository = testRepository({ backend: new MemoryBackend(of) });
  const { monitor } = hearRepair().context;
  return check(repository, { readData: { kind: 'all' } }, { environment, monitor });
}

function keep(id: string): Promise<string> {
  return Promise.resolve(`kept ${id}`);
}

function repair(repository = maker.repository): Promise<PackRepairResult> {
  const request = { packs, sources: {}, keep };
  return repairPacks(repository, request, hearRepair().context);
}

function withGet(inner: Backend, get: Backend['get']): Backend {
  return new (class extends ForwardingBackend {
    override get = get;
  })(inner);
}

function bytesOf(key: string): Uint8Array<ArrayBuffer> {
  return files.get(key) ?? new Uint8Array();
}

describe('parity', () => {
  test('is made for every pack, once, and remembered', async () => {
    const status = await loadParityStatus(maker.repository, hearRepair().context);
    expect(status).toMatchObject({ percent: 10, packCount: 2, coveredCount: 2 });
    const again = await updateParity(maker.repository, 10, hearRepair().context);
    expect(again).toEqual({ madeCount: 0, removedCount: 0, damagedPacks: [] });
    expect((await updateParity(maker.repository, 20, hearRepair().context)).madeCount).toBe(2);
    const other = testRepository({ backend: new MemoryBackend(files) });
    expect(await other.parity.percent()).toBe(20);
    const removed = await updateParity(maker.repository, 0, hearRepair().context);
    expect(removed.removedCount).toBe(2);
    expect([...files.keys()].filter((key) => key.startsWith('parity/'))).toEqual([]);
  });

  test('is not made of a damaged pack', async () => {
    await updateParity(maker.repository, 0, hearRepair().context);
    flipBit(bytesOf(`pack/${packs[0]}`), 999);
    const { damagedPacks, madeCount } = await updateParity(
      maker.repository,
      10,
      hearRepair().context,
    );
    expect([damagedPacks, madeCount]).toEqual([[packs[0]], 1]);
  });

  test('passes over packs that a prune deletes meanwhile', async () => {
    await maker.snapshotOf({ three: madeFile(noise(9_000, 3)) });
    for (const { id } of (await loadSnapshots(maker.repository)).slice(0, 1)) {
      files.delete(`snapshot/${id}`);
    }
    expect((await prune(maker.backend)).marked).toHaveLength(2);
    let deletedCount = 0;
    // Between the question for the size of the first pack and its reading.
    const get = async (...call: Parameters<Backend['get']>): ReturnType<Backend['get']> => {
      if (call[0].type === 'pack' && deletedCount === 0) {
        deletedCount = (await prune(maker.backend, { laterMs: 25 * hourMs })).deleted.length;
      }
      return maker.backend.get(...call);
    };
    const { complaints, context } = hearRepair();
    const backend = withGet(maker.backend, get);
    const update = await updateParity(testRepository({ backend }), 20, context);
    expect(deletedCount).toBe(2);
    expect(update).toMatchObject({ damagedPacks: [], madeCount: 2 });
    expect(complaints).toEqual([]);
    expect((await checked()).errors).toEqual([]);
  });

  test('tells of a pack that is lost meanwhile', async () => {
    const get = (...call: Parameters<Backend['get']>): ReturnType<Backend['get']> => {
      if (call[0].type === 'pack') files.delete(`pack/${packs[0]}`);
      return maker.backend.get(...call);
    };
    const { complaints, context } = hearRepair();
    const backend = withGet(maker.backend, get);
    const update = await updateParity(testRepository({ backend }), 20, context);
    expect(update).toMatchObject({ damagedPacks: [packs[0]], madeCount: 1 });
    expect(complaints).toEqual([`pack ${packs[0]}: a pack is gone`]);
  });

  test.each([
    ['the head', 3],
    ['the digests', 100],
    ['a block', 4000],
  ])('is made anew where %s of it rotted', async (_, byte) => {
    const pristine = bytesOf(`parity/${packs[0]}`).slice();
    flipBit(bytesOf(`parity/${packs[0]}`), 8 * byte);
    expect((await checked()).hints.join()).toMatch(/parity of pack/);
    const update = await updateParity(maker.repository, 10, hearRepair().context);
    expect(update).toEqual({ madeCount: 1, removedCount: 0, damagedPacks: [] });
    expect(bytesOf(`parity/${packs[0]}`)).toEqual(pristine);
    expect((await checked()).hints).toEqual([]);
  });

  test('goes with the packs that are removed', async () => {
    await removeParity(maker.repository, [packs[0] ?? ''], {});
    const kept = [`parity/${packs[1]}`, `parity/${paritySettingName}`].toSorted();
    expect([...files.keys()].filter((key) => key.startsWith('parity/')).toSorted()).toEqual(kept);
  });

  test('heals packs that rotted, byte for byte, and check says so before', async () => {
    const pristine = new Map([...files].map(([key, bytes]) => [key, bytes.slice()]));
    expect((await checked()).errors).toEqual([]);
    const data = bytesOf(`pack/${packs[0]}`);
    flipBit(data, 12_345);
    data.fill(0, 8_192, 8_192 + 2_000);
    const trees = bytesOf(`pack/${packs[1]}`);
    files.set(`pack/${packs[1]}`, trees.slice(0, -20));
    const found = await checked();
    expect(found.brokenPacks.toSorted()).toEqual(packs.toSorted());
    expect(found.healablePacks.toSorted()).toEqual(packs.toSorted());
    const result = await repair();
    expect(result.healedPacks.map(({ id }) => id)).toEqual(packs);
    expect(result).toMatchObject({ removedPacks: [], newPacks: [], lostCount: 0 });
    expect([...files.keys()].toSorted()).toEqual([...pristine.keys()].toSorted());
    for (const [key, bytes] of pristine) expect(files.get(key), key).toEqual(bytes);
  });

  test('brings back what a repair of the index had to leave out', async () => {
    files.set(`pack/${packs[0]}`, bytesOf(`pack/${packs[0]}`).slice(0, -3_000));
    const { context } = hearRepair();
    const plan = await planIndexRepair(maker.repository, { readAllPacks: false }, context);
    await executeIndexRepair(maker.repository, plan, context);
    expect((await checked()).errors).not.toEqual([]);
    expect((await repair()).healedPacks).toHaveLength(1);
    const result = await checked();
    expect([result.errors, result.hints]).toEqual([[], []]);
  });

  test('is left out where more is lost: what can be read is saved', async () => {
    bytesOf(`pack/${packs[0]}`).fill(0, 0, 20_000);
    expect((await checked()).healablePacks).toEqual([]);
    const result = await repair();
    expect(result).toMatchObject({ healedPacks: [], salvagedCount: 1, lostCount: 1 });
    expect(files.has(`parity/${packs[0]}`)).toBe(false);
  });

  test('that is damaged itself is told as a hint, and its setting too', async () => {
    bytesOf(`parity/${packs[0]}`).fill(0, 2_000, 3_000);
    flipBit(bytesOf(`parity/${paritySettingName}`), 200);
    const { errors, hints } = await checked();
    expect(errors).toEqual([]);
    expect(hints).toHaveLength(2);
    const other = testRepository({ backend: new MemoryBackend(files) });
    expect(await other.parity.percent()).toBe(0);
  });

  test('loses nothing wherever healing is stopped, and goes on', async () => {
    const pristine = bytesOf(`pack/${packs[0]}`).slice();
    flipBit(bytesOf(`pack/${packs[0]}`), 5_000);
    await stopEverywhere(
      files,
      (repository) => repair(repository),
      async (left, stop) => {
        await repair(testRepository({ backend: new MemoryBackend(left) }));
        expect(left.get(`pack/${packs[0]}`), stop).toEqual(pristine);
      },
    );
  });
});

function allButTwo(path: Uint8Array): ReturnType<Selection['select']> {
  return { selected: Buffer.from(path).toString() !== '/two', mayHoldSelected: true };
}

async function expectCovered(
  { backend }: { readonly backend: Backend },
  isNew: (id: string) => boolean,
): Promise<void> {
  const stored: string[] = [];
  for await (const { name } of backend.list('pack', {})) if (isNew(name)) stored.push(name);
  expect(stored.length).toBeGreaterThan(0);
  const covered = await listParity(testRepository({ backend }), {});
  expect(stored.filter((id) => !covered.has(id))).toEqual([]);
}

describe('whoever stores packs where the repository keeps parity makes it', () => {
  test.each([
    ['at once', atOnce],
    ['in phases', inPhases],
  ])(
    'prune %s, of the packs that it repacks; and it removes that of those that go',
    async (_, options) => {
      const { backend, maker: made } = await prunable();
      await updateParity(made.repository, 10, hearRepair().context);
      const before = new Set(packsOf(backend.files));
      await prune(backend, { options });
      await prune(backend, { options, laterMs: 25 * hourMs });
      const packs = packsOf(backend.files).map((key) => key.slice('pack/'.length));
      expect(packs.some((id) => !before.has(`pack/${id}`))).toBe(true);
      const covered = await listParity(testRepository({ backend }), {});
      expect([...covered.keys()].toSorted()).toEqual(packs.toSorted());
    },
  );

  test('copy, by the setting of the destination', async () => {
    const [source, target] = [maker, testRepository({ backend: new MemoryBackend() })];
    await target.parity.save(20);
    const loaded = await loadIndexFiles(target);
    const request = {
      source: await source.indexed(),
      snapshots: await loadSnapshots(source.repository),
      target: new IndexedRepository(target, loaded.index, loaded),
      existing: [],
      lock: undefined,
    };
    await copySnapshots(request, { environment, monitor: silentMonitor });
    await expectCovered(target, () => true);
  });

  test('rewrite, of its new trees', async () => {
    const before = new Set(packs);
    const { repository } = maker;
    const loaded = await loadIndexFiles(repository);
    const snapshots = await loadSnapshots(repository);
    const request = {
      snapshots,
      existing: snapshots,
      change: { selection: { select: allButTwo, isInclude: false }, withSummary: false },
      forget: false,
      dryRun: false,
      lock: undefined,
    };
    const indexed = new IndexedRepository(repository, loaded.index, loaded);
    await rewriteSnapshots(indexed, request, { environment, monitor: silentMonitor });
    await expectCovered(repository, (id) => !before.has(id));
  });

  test('repair of a pack that parity does not heal', async () => {
    const before = new Set(packs);
    bytesOf(`pack/${packs[0]}`).fill(0, 0, 20_000);
    expect((await repair()).newPacks).toHaveLength(1);
    await expectCovered(maker.repository, (id) => !before.has(id));
  });
});

test('check tells how many packs have none, at no cost where nobody wants it', async () => {
  expect((await checked()).hints).toEqual([]);
  files.delete(`parity/${packs[0]}`);
  const { errors, hints } = await checked();
  expect(errors).toEqual([]);
  expect(hints).toEqual(['1 of 2 packs have no parity: "holdfast parity 10" makes it']);
  await updateParity(maker.repository, 0, hearRepair().context);
  expect((await checked()).hints).toEqual([]);
});
