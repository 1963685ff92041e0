import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemEnvironment as environment } from '../../base/environment.ts';
import { HoldfastError } from '../../base/errors.ts';
import { testRepository } from '../../repository/index-test-support.ts';
import { loadSnapshots } from '../../repository/snapshots.ts';
import { openFileSource } from '../../sources/files/open-file-source.ts';
import type { Source } from '../../sources/source.ts';
import type { Backend } from '../../storage/backend.ts';
import { fault } from '../../storage/fault.ts';
import { MemoryBackend } from '../../storage/memory/memory-backend.ts';
import { record, type RecordedBackend } from '../../storage/record.ts';
import type { BackupOptions } from '../backup.ts';
import {
  backUpHeard,
  describeStored,
  type HeardBackup,
  type TestFolder,
  TestSource,
} from './backup-test-support.ts';

let folder: string;
let memory: MemoryBackend;
let backend: RecordedBackend;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'holdfast-backup-'));
  mkdirSync(`${folder}/t/sub/deeper`, { recursive: true });
  for (let i = 0; i < 20; i++) writeFileSync(`${folder}/t/sub/${i}`, `content ${i}`);
  writeFileSync(`${folder}/t/large`, Buffer.alloc(2_000_000, 'text '));
  symlinkSync('nowhere', `${folder}/t/link`);
  memory = new MemoryBackend();
  backend = record(memory);
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function openTree(name = 't'): Promise<Source> {
  return openFileSource([name], { environment, workingDirectory: folder });
}

async function backUp(
  options: Partial<BackupOptions> = {},
  settings: { readonly backend?: Backend; readonly signal?: AbortSignal } = {},
): Promise<HeardBackup> {
  return backUpHeard(await openTree(), { backend, options, ...settings });
}

async function snapshots() {
  return loadSnapshots(testRepository({ backend: memory }));
}

/** Puts by type, in the order of their first call. */
function putsOf(recorded: RecordedBackend): string[] {
  return recorded.calls.filter((call) => call.operation === 'put').map(({ type }) => type ?? '');
}

describe('a backup', () => {
  test('stores packs, then the index, then the snapshot', async () => {
    const result = await backUp({ tags: ['a', 'b'] });
    expect(result.complaints).toEqual([]);
    expect(putsOf(backend)).toEqual(['pack', 'pack', 'index', 'snapshot']);
    expect(result.summary).toMatchObject({
      filesNew: 21,
      dirsNew: 3,
      dataBlobs: 21,
      treeBlobs: 4,
      totalFilesProcessed: 21,
      totalBytesProcessed: 2_000_190,
    });
    const [snapshot] = await snapshots();
    expect(snapshot).toMatchObject({
      id: result.snapshotId,
      tree: result.treeId,
      paths: [`${folder}/t`],
      hostname: 'host',
      username: 'user',
      uid: 1,
      gid: 2,
      tags: ['a', 'b'],
      programVersion: 'holdfast test',
    });
    expect(snapshot?.parent).toBeUndefined();
    expect(snapshot?.summary).toEqual(result.summary);
  });

  test('of an unchanged tree stores no data, and takes the same few calls each time', async () => {
    const first = await backUp();
    const counts: Readonly<Record<string, number>>[] = [];
    for (let run = 0; run < 3; run++) {
      backend.reset();
      const again = await backUp();
      expect(again.treeId).toBe(first.treeId);
      expect(again.summary).toMatchObject({ filesUnmodified: 21, dirsUnmodified: 3, dataAdded: 0 });
      expect(again.items.every((item) => item.startsWith('unchanged '))).toBe(true);
      counts.push(backend.counts());
    }
    expect(putsOf(backend)).toEqual(['snapshot']);
    // Each backup reads one more snapshot; nothing else grows.
    const withoutSnapshots = counts.map(exceptSnapshots);
    expect(withoutSnapshots[1]).toEqual(withoutSnapshots[0]);
    expect(withoutSnapshots[2]).toEqual(withoutSnapshots[0]);
    expect(withoutSnapshots[0]).toMatchInlineSnapshot(`
      {
        "get index": 1,
        "get pack": 1,
        "list index": 2,
        "list pack": 1,
        "list snapshot": 1,
        "put snapshot": 1,
        "stat snapshot": 1,
      }
    `);
  });

  test('of an unchanged tree takes as many calls for ten times the files', async () => {
    for (let i = 0; i < 300; i++) writeFileSync(`${folder}/t/sub/deeper/${i}`, `more ${i}`);
    await backUp();
    backend.reset();
    await backUp();
    const counts = exceptSnapshots(backend.counts());
    expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBeLessThan(10);
  });

  test('stores only what is new', async () => {
    await backUp();
    appendFileSync(`${folder}/t/sub/3`, ' and more');
    chmodSync(`${folder}/t/sub/4`, 0o600);
    renameSync(`${folder}/t/sub/5`, `${folder}/t/sub/five`);
    const { summary, items } = await backUp();
    expect(summary).toMatchObject({
      filesNew: 1,
      filesChanged: 2,
      filesUnmodified: 18,
      dirsChanged: 2,
      dirsUnmodified: 1,
      dataBlobs: 1,
      treeBlobs: 3,
    });
    const below = items.filter((item) => !item.startsWith('unchanged'));
    expect(below).toEqual([
      'modified /t',
      'modified /t/sub',
      'modified /t/sub/3',
      'modified /t/sub/4',
      'new /t/sub/five',
    ]);
  });

  test('with force reads everything, and stores nothing of it again', async () => {
    await backUp();
    backend.reset();
    const { summary, parentId } = await backUp({ force: true });
    expect(parentId).toBeUndefined();
    expect(summary).toMatchObject({ filesNew: 21, dataBlobs: 0, treeBlobs: 0 });
    expect(putsOf(backend)).toEqual(['snapshot']);
  });

  test('of a tree that gives nothing makes no snapshot', async () => {
    await expect(backUpHeard(new TestSource({}), { backend })).rejects.toMatchObject({
      code: 'SOURCE_EMPTY',
    });
    expect(await snapshots()).toEqual([]);
  });

  test('of which no target can be listed makes no snapshot, and takes none away', async () => {
    const closed = new HoldfastError('PERMISSION_DENIED');
    const paths = ['/above/made', '/above/other'];
    const bothOf = (made: TestFolder[string], other: TestFolder[string]): TestSource =>
      new TestSource({ above: { made, other } }, paths);
    const none = backUpHeard(bothOf(closed, closed), { backend });
    await expect(none).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
    expect(await snapshots()).toEqual([]);
    // One that is there, were it empty, is something.
    const { complaints } = await backUpHeard(bothOf(closed, {}), { backend });
    expect(complaints).toEqual(['/above/made: permission denied']);
    await backUpHeard(bothOf({ a: 'x' }, {}), { backend });
    const again = backUpHeard(bothOf(closed, closed), { backend });
    await expect(again).rejects.toMatchObject({ code: 'SOURCE_FAILED' });
    // What needs no listing is enough, also where it is as it was.
    for (let time = 0; time < 2; time++) await backUpHeard(bothOf('x', closed), { backend });
    expect(await snapshots()).toHaveLength(4);
  });

  test('says so if the target is empty and was not', async () => {
    await backUpHeard(new TestSource({ made: { a: 'x' } }), { backend });
    const { complaints } = await backUpHeard(new TestSource({ made: {} }), { backend });
    expect(complaints).toEqual(['/made: it is empty, and was not in the parent snapshot']);
    const deeper = { made: { a: 'x', below: {} } };
    expect((await backUpHeard(new TestSource(deeper), { backend })).complaints).toEqual([]);
  });
});

describe('skipIfUnchanged', () => {
  test('writes no snapshot if the tree is the parent’s', async () => {
    const first = await backUp({ skipIfUnchanged: true });
    expect(first.snapshotId).toBeDefined();
    const second = await backUp({ skipIfUnchanged: true });
    expect(second.snapshotId).toBeUndefined();
    expect(second.treeId).toBe(first.treeId);
    expect(await snapshots()).toHaveLength(1);
    writeFileSync(`${folder}/t/new`, '');
    expect((await backUp({ skipIfUnchanged: true })).snapshotId).toBeDefined();
    expect(await snapshots()).toHaveLength(2);
  });

  test('writes one if the parent was incomplete, and this one is not', async () => {
    const options = { skipIfUnchanged: true };
    await backUpHeard(new TestSource({ made: { a: 'x' } }), { backend });
    const emptied = await backUpHeard(new TestSource({ made: {} }), { backend, options });
    expect(emptied.complaints).toHaveLength(1);
    const whole = await backUpHeard(new TestSource({ made: {} }), { backend, options });
    expect(whole.snapshotId).toBeDefined();
    expect(whole).toMatchObject({ complaints: [], treeId: emptied.treeId });
    const same = await backUpHeard(new TestSource({ made: {} }), { backend, options });
    expect(same.snapshotId).toBeUndefined();
  });

  test('writes one if there is no parent to compare with', async () => {
    await backUp();
    expect((await backUp({ skipIfUnchanged: true, force: true })).snapshotId).toBeDefined();
  });
});

describe('a dry run', () => {
  test('writes nothing and says what it would have stored', async () => {
    const dry = await backUp({ dryRun: true });
    expect(dry).toMatchObject({ dryRun: true, complaints: [] });
    expect(dry.snapshotId).toMatch(/^[0-9a-f]{64}$/);
    expect(backend.count({ operation: 'put' })).toBe(0);
    expect(memory.files.size).toBe(0);
    const real = await backUp();
    expect(real.treeId).toBe(dry.treeId);
    expect(real.summary.dataBlobs).toBe(dry.summary.dataBlobs);
    expect(real.summary.dataAdded).toBe(dry.summary.dataAdded);
  });

  test('sees the same problems', async () => {
    const error = new HoldfastError('PERMISSION_DENIED');
    const source = new TestSource({ open: { x: 'y' }, closed: error });
    const { complaints } = await backUpHeard(source, { backend, options: { dryRun: true } });
    expect(complaints).toEqual(['/closed: permission denied']);
  });
});

describe('the parent', () => {
  test('is the newest of the same host and paths that is not later', async () => {
    const first = await backUp(at(1000));
    const second = await backUp(at(3000));
    expect(second.parentId).toBe(first.snapshotId);
    expect((await backUp(at(2000))).parentId).toBe(first.snapshotId);
    const other = await backUp({ ...at(5000), hostname: 'other' });
    expect(other.parentId).toBeUndefined();
    expect((await backUp(at(4000))).parentId).toBe(second.snapshotId);
    expect((await backUp({ ...at(4000), parent: other.snapshotId ?? '' })).parentId).toBe(
      other.snapshotId,
    );
    const whoever = { host: false, paths: true, tags: false };
    expect((await backUp({ ...at(6000), groupBy: whoever })).parentId).toBe(other.snapshotId);
  });

  test('has all tags, if they are asked for', async () => {
    const groupBy = { host: true, paths: true, tags: true };
    const both = await backUp({ tags: ['a', 'b'], groupBy });
    const one = await backUp({ tags: ['a'], groupBy });
    expect(one.parentId).toBe(both.snapshotId);
    expect((await backUp({ tags: ['a', 'b'], groupBy })).parentId).toBe(both.snapshotId);
    expect((await backUp({ tags: ['c'], groupBy })).parentId).toBeUndefined();
  });

  test('has at least all paths', async () => {
    const two = new TestSource({ a: 'x' }, ['/one', '/two']);
    const first = await backUpHeard(two, { backend });
    const one = await backUpHeard(new TestSource({ a: 'x' }, ['/two']), { backend });
    expect(one.parentId).toBe(first.snapshotId);
    const more = new TestSource({ a: 'x' }, ['/two', '/three']);
    expect((await backUpHeard(more, { backend })).parentId).toBeUndefined();
  });

  test('must exist if it is named', async () => {
    await expect(backUp({ parent: 'abcdef' })).rejects.toMatchObject({
      code: 'SNAPSHOT_NOT_FOUND',
    });
    expect(await snapshots()).toEqual([]);
  });
});

describe('what the options let pass', () => {
  test('ignoreInode and ignoreCtime reuse what was only copied or touched', async () => {
    utimesSync(`${folder}/t/sub/1`, 1000, 1000);
    await backUp();
    writeFileSync(`${folder}/copy`, 'CONTENT 1');
    utimesSync(`${folder}/copy`, 1000, 1000);
    renameSync(`${folder}/copy`, `${folder}/t/sub/1`);
    const trusting = await backUp({ ignoreInode: true });
    expect(trusting.summary.dataBlobs).toBe(0);
    const exact = await backUp({ parent: trusting.parentId ?? '' });
    expect(exact.summary.dataBlobs).toBe(1);
  });

  test('withAtime stores when a file was read', async () => {
    const without = await backUp();
    const withAtime = await backUp({ withAtime: true });
    expect(withAtime.treeId).not.toBe(without.treeId);
  });
});

describe('what goes wrong with the storage', () => {
  test.each(['pack', 'index', 'snapshot'] as const)(
    'a %s that cannot be stored ends the backup without a snapshot',
    async (type) => {
      const error = { kind: 'error', code: 'STORAGE_FULL' } as const;
      const broken = fault(memory, [{ operation: 'put', type, fault: error }]);
      await expect(backUp({}, { backend: broken })).rejects.toMatchObject({ code: 'STORAGE_FULL' });
      expect(broken.faultCount).toBe(1);
      expect(await snapshots()).toEqual([]);
      const { complaints, treeId } = await backUp();
      expect(complaints).toEqual([]);
      expect(await describeStored({ backend: memory }, treeId)).toHaveLength(25);
    },
  );

  test('a pack of the index that is gone is stored again', async () => {
    await backUp();
    const packs = [...memory.files.keys()].filter((key) => key.startsWith('pack'));
    for (const key of packs) memory.files.delete(key);
    const again = await backUp();
    expect(again.complaints.join()).toContain(
      'packs that the index lists are missing or cut short',
    );
    expect(again.summary.dataBlobs).toBe(21);
    expect(await describeStored({ backend: memory }, again.treeId)).toHaveLength(25);
  });
});

describe('an interrupt', () => {
  test('ends the backup without a snapshot; what was stored is not stored again', async () => {
    for (let i = 0; i < 12; i++) {
      writeFileSync(`${folder}/t/noise ${i}`, noise(2_000_000, i));
    }
    const controller = new AbortController();
    const stopping: Backend = Object.create(backend, {
      put: {
        value: async (...args: Parameters<Backend['put']>) => {
          await backend.put(...args);
          if (args[0].type === 'pack') controller.abort();
        },
      },
    });
    const { signal } = controller;
    await expect(backUp({}, { backend: stopping, signal })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    expect(await snapshots()).toEqual([]);
    const stored = backend.calls.filter(
      ({ operation, type }) => operation === 'put' && type === 'pack',
    );
    const bytes = stored.reduce((sum, call) => sum + (call.sizeBytes ?? 0), 0);
    expect(bytes).toBeGreaterThan(0);
    expect(backend.count({ operation: 'put', type: 'index' })).toBe(1);
    backend.reset();
    const { summary } = await backUp();
    expect(summary.dataAddedPacked).toBeLessThan(26_500_000 - bytes);
    expect(readdirSync(folder)).toEqual(['t']);
  });

  test('of a storage that does not answer gives up what is on its way, and keeps the rest', async () => {
    for (let i = 0; i < 12; i++) {
      writeFileSync(`${folder}/t/noise ${i}`, noise(2_000_000, i));
    }
    const controller = new AbortController();
    let packs = 0;
    const slow: Backend = Object.create(backend, {
      put: {
        value: async (...args: Parameters<Backend['put']>) => {
          const isLate = args[0].type === 'pack' && ++packs > 2;
          if (!isLate) return backend.put(...args);
          controller.abort();
          const signal = args[2]?.signal;
          await new Promise((resolve) => signal?.addEventListener('abort', resolve));
          throw new HoldfastError('CANCELLED');
        },
      },
    });
    const { signal } = controller;
    await expect(backUp({}, { backend: slow, signal })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    expect(await snapshots()).toEqual([]);
    expect(backend.count({ operation: 'put', type: 'pack' })).toBe(2);
    expect(backend.count({ operation: 'put', type: 'index' })).toBe(1);
  });

  test('before the start writes nothing at all', async () => {
    const signal = AbortSignal.abort();
    await expect(backUp({}, { signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(backend.count({ operation: 'put' })).toBe(0);
  });
});

function noise(sizeBytes: number, seed: number): Uint8Array {
  const words = new Uint32Array(sizeBytes / 4);
  let x = seed + 1;
  for (let i = 0; i < words.length; i++) {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = x ^ (x >>> 15);
  }
  return new Uint8Array(words.buffer);
}

function at(seconds: number): Partial<BackupOptions> {
  return { time: { seconds, nanoseconds: 0 } };
}

/** Calls by kind, without those that read snapshots: there is one more each time. */
function exceptSnapshots(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([key]) => key !== 'get snapshot'));
}
