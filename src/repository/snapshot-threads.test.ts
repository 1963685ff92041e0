import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemEnvironment as environment } from '../base/environment.ts';
import { saveSnapshot, testRepository } from './index-test-support.ts';
import type { Repository } from './repository.ts';
import { loadSnapshot, loadSnapshots } from './snapshots.ts';
import type { CallOptions, FileStat, FileType } from '../storage/backend.ts';
import { ForwardingBackend } from '../storage/forward.ts';
import { LocalBackend } from '../storage/local/local-backend.ts';
import { MemoryBackend } from '../storage/memory/memory-backend.ts';
import { readSnapshotsInThread } from './snapshot-threads.ts';

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

test('a thread reads what the usual way reads', async () => {
  const inThread = await readSnapshotsInThread(repository, ids, {});
  expect(inThread.size).toBe(ids.length);
  const loaded = await loadSnapshots(repository);
  expect(loaded.map(({ id }) => id)).toEqual(ids);
  for (const { id, ...snapshot } of loaded) expect(inThread.get(id)).toEqual(snapshot);
  for (const id of ids.slice(0, 3)) {
    const { id: _, ...snapshot } = await loadSnapshot(repository, id);
    expect(inThread.get(id)).toEqual(snapshot);
  }
});

test('what it cannot read is left to the usual way, which says what is wrong', async () => {
  const [first = '', second = ''] = ids;
  const damaged = path.join(folder, 'snapshots', 'd'.repeat(64));
  writeFileSync(damaged, 'no snapshot');
  mkdirSync(path.join(folder, 'snapshots', 'e'.repeat(64)));
  const listed = [...ids, 'd'.repeat(64), 'e'.repeat(64), 'f'.repeat(64)];
  expect((await readSnapshotsInThread(repository, listed, {})).size).toBe(ids.length);
  await expect(loadSnapshots(repository)).rejects.toMatchObject({ code: 'UNPACKED_DAMAGED' });
  rmSync(damaged);
  // Listed, and gone before it is read: as with the usual way it is left out.
  class Racing extends ForwardingBackend {
    override async *list(type: FileType, options?: CallOptions): AsyncGenerator<FileStat> {
      yield* super.list(type, options);
      rmSync(path.join(folder, 'snapshots', first), { force: true });
    }
  }
  const racing = testRepository({ backend: new Racing(repository.backend) });
  const loaded = await loadSnapshots(racing);
  expect(loaded.map(({ id }) => id)).not.toContain(first);
  expect(loaded.map(({ id }) => id)).toContain(second);
  expect(loaded).toHaveLength(ids.length - 1);
});

test('a few, and those of other storage, are read the usual way', async () => {
  expect((await readSnapshotsInThread(repository, ids.slice(0, 10), {})).size).toBe(0);
  const elsewhere = testRepository({ backend: new MemoryBackend() });
  expect((await readSnapshotsInThread(elsewhere, ids, {})).size).toBe(0);
});
