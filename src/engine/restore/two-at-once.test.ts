import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { concatBytes } from '../../base/bytes.ts';
import { systemClock } from '../../base/clock.ts';
import { testRepository } from '../../repository/index-test-support.ts';
import { loadIndex } from '../../repository/index-load.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import type { Backend, FileHandle } from '../../storage/backend.ts';
import { ForwardingBackend } from '../../storage/forward.ts';
import {
  type HeardRestore,
  MadeNode,
  noise,
  restoreHeard,
  SnapshotMaker,
  type TestFolder,
  testFolder,
} from '../engine-test-support.ts';

let folder: TestFolder;
beforeAll(() => {
  folder = testFolder();
});
afterAll(() => folder.remove());

/** Holds reads of packs back. */
class GatedBackend extends ForwardingBackend {
  readonly #gate: (name: string) => Promise<void>;

  constructor(inner: Backend, gate: (name: string) => Promise<void>) {
    super(inner);
    this.#gate = gate;
  }

  override async get(
    ...request: Parameters<Backend['get']>
  ): Promise<Awaited<ReturnType<Backend['get']>>> {
    const [{ type, name }]: readonly [FileHandle, ...unknown[]] = request;
    if (type === 'pack') await this.#gate(name);
    return super.get(...request);
  }
}

async function gated(
  maker: SnapshotMaker,
  gate: (name: string) => Promise<void>,
): Promise<IndexedRepository> {
  const repository = testRepository({ backend: new GatedBackend(maker.backend, gate) });
  return new IndexedRepository(repository, await loadIndex(repository));
}

test('two restores to one folder never put half a file in its place', async () => {
  const [first, second] = [noise(300_000, 1), noise(400_000, 2)];
  const maker = new SnapshotMaker();
  const ids = [maker.blob('data', first)];
  const [firstPack] = await maker.store();
  ids.push(maker.blob('data', second));
  const [secondPack] = await maker.store();
  const sizeBytes = first.byteLength + second.byteLength;
  const snapshot = await maker.snapshotOf({
    file: new MadeNode({ type: 'file', content: concatBytes(ids), sizeBytes }),
  });
  const target = folder.fresh();
  const request = { snapshot, target };

  const laterIsReading = Promise.withResolvers<void>();
  const earlierIsDone = Promise.withResolvers<void>();
  let later: Promise<HeardRestore> | undefined;
  const laterIndexed = await gated(maker, async (name) => {
    if (name !== firstPack?.id && name !== secondPack?.id) return;
    laterIsReading.resolve();
    await earlierIsDone.promise;
  });
  const earlierIndexed = await gated(maker, async (name) => {
    if (name !== secondPack?.id) return;
    // The first half is written; now the other one comes along and has made its file as well.
    while (!hasHalf(target, first.byteLength)) await systemClock.nextTurn();
    later = restoreHeard(laterIndexed, request);
    await laterIsReading.promise;
  });

  const earlier = await restoreHeard(earlierIndexed, request);
  expect(earlier.complaints).toEqual([]);
  expect(readFileSync(path.join(target, 'file')).equals(Buffer.concat([first, second]))).toBe(true);
  earlierIsDone.resolve();
  const { complaints, notes } = (await later) ?? { complaints: undefined, notes: undefined };
  expect(complaints).toEqual([expect.stringContaining('its name is taken')]);
  expect(notes).toEqual([expect.stringContaining('another restore is writing to this folder')]);
  expect(readFileSync(path.join(target, 'file')).equals(Buffer.concat([first, second]))).toBe(true);
  expect((await restoreHeard(await maker.indexed(), request)).notes).toEqual([]);
  expect(readdirSync(target)).toEqual(['file']);
});

function hasHalf(target: string, sizeBytes: number): boolean {
  if (!existsSync(target)) return false;
  const files = readdirSync(target).map((name) => path.join(target, name));
  return files.some((file) => statSync(file).size === sizeBytes);
}
