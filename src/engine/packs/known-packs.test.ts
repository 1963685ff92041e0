import { expect, test } from 'vitest';
import { toHex } from '../../base/bytes.ts';
import { systemEnvironment as environment } from '../../base/environment.ts';
import { testRepository } from '../../repository/index-test-support.ts';
import { loadIndexFiles } from '../../repository/index-load.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import type { Backend } from '../../storage/backend.ts';
import { hourMs, prunable, prune, quiet } from '../prune/prune-test-support.ts';
import { reliablePacks } from './known-packs.ts';

async function load(backend: Backend): Promise<IndexedRepository> {
  const repository = testRepository({ backend });
  const loaded = await loadIndexFiles(repository);
  return new IndexedRepository(repository, loaded.index, loaded);
}

function packsOf({ index }: IndexedRepository): string[] {
  return Array.from({ length: index.packCount }, (_, pack) => toHex(index.packId(pack))).toSorted();
}

test('a prune that deletes what it marked, right after the index was loaded, is no failure', async () => {
  const { backend } = await prunable();
  await prune(backend);
  const indexed = await load(backend);
  expect(indexed.files.markNames).toHaveLength(1);
  const { deleted } = await prune(backend, { laterMs: 25 * hourMs });
  const reliable = await reliablePacks(indexed, { environment, monitor: quiet });
  const left = packsOf(reliable);
  expect(left.length).toBeGreaterThan(0);
  for (const { id } of deleted) expect(left).not.toContain(id);
  for (const id of left) expect(packsOf(await load(backend))).toContain(id);
});

test('marks that were written anew since the index was loaded count', async () => {
  const { backend } = await prunable();
  await prune(backend);
  const indexed = await load(backend);
  // The same marks in another file.
  const [name] = indexed.files.markNames;
  const json = await indexed.repository.loadUnpacked('index', name ?? '');
  await indexed.repository.removeUnpacked('index', name ?? '');
  await indexed.repository.saveUnpacked('index', json);
  const sound = packsOf(await reliablePacks(await load(backend), { environment, monitor: quiet }));
  expect(sound.length).toBeLessThan(indexed.index.packCount);
  expect(packsOf(await reliablePacks(indexed, { environment, monitor: quiet }))).toEqual(sound);
});
