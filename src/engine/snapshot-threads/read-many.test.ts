import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemEnvironment as environment } from '../../base/environment.ts';
import { testRepository } from '../../repository/index-test-support.ts';
import type { Repository } from '../../repository/repository.ts';
import { loadSnapshots, saveSnapshot } from '../../repository/snapshots.ts';
import { LocalBackend } from '../../storage/local/local-backend.ts';
import { MemoryBackend } from '../../storage/memory/memory-backend.ts';
import { snapshotThreads } from './read-many.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'holdfast-snapshots-'));
const tree = '0'.repeat(64);
let repository: Repository;
const ids: string[] = [];

beforeAll(async () => {
  const backend = new LocalBackend(folder, { environment, durable: false });
  await backend.create();
  writeFileSync(path.join(folder, 'config'), 'x');
  repository = testRepository({ backend });
  for (let i = 0; i < 160; i++) {
    const time = { seconds: 1_700_000_000 + i, nanoseconds: i, offsetMinutes: 60 };
    const tags = i % 2 === 0 ? { tags: ['<escaped>'] } : {};
    ids.push(await saveSnapshot(repository, { time, tree, paths: [`/${i}`], ...tags }));
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('threads read what the usual way reads', async () => {
  const readMany = snapshotThreads(repository, {});
  const known = await readMany?.(ids);
  expect(known?.size).toBe(ids.length);
  expect(await loadSnapshots(repository, { readMany })).toEqual(await loadSnapshots(repository));
});

test('what they cannot read is left to the usual way, which says what is wrong', async () => {
  const [first = '', second = ''] = ids;
  const damaged = path.join(folder, 'snapshots', 'd'.repeat(64));
  writeFileSync(damaged, 'no snapshot');
  mkdirSync(path.join(folder, 'snapshots', 'e'.repeat(64)));
  const readMany = snapshotThreads(repository, {});
  const missing = 'f'.repeat(64);
  const known = await readMany?.([...ids, 'd'.repeat(64), 'e'.repeat(64), missing]);
  expect(known?.size).toBe(ids.length);
  await expect(loadSnapshots(repository, { readMany })).rejects.toMatchObject({
    code: 'UNPACKED_DAMAGED',
  });
  rmSync(damaged);
  // Listed, and gone before it is read: as with the usual way it is left out.
  const racing = async (listed: readonly string[]): ReturnType<NonNullable<typeof readMany>> => {
    rmSync(path.join(folder, 'snapshots', first));
    return (await readMany?.(listed)) ?? new Map();
  };
  const loaded = await loadSnapshots(repository, { readMany: racing });
  expect(loaded.map(({ id }) => id)).not.toContain(first);
  expect(loaded.map(({ id }) => id)).toContain(second);
  expect(loaded).toHaveLength(ids.length - 1);
});

test('a few, and those of other storage, are read the usual way', async () => {
  expect((await snapshotThreads(repository, {})?.(ids.slice(0, 10)))?.size).toBe(0);
  expect(snapshotThreads(testRepository({ backend: new MemoryBackend() }), {})).toBeUndefined();
});
