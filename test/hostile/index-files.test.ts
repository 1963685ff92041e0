import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { BlobIndex } from '../../src/repository/blob-index.ts';
import { decodeIndexInto } from '../../src/repository/index-file.ts';
import { loadIndex } from '../../src/repository/index-load.ts';
import { IndexedRepository } from '../../src/repository/indexed.ts';
import {
  backUp,
  checkAll,
  initRepository,
  listSnapshots,
  restoreLatest,
  withRepository,
} from '../tools/engine.ts';
import { HostileRepository, nodeJson } from '../tools/hostile-repository.ts';
import { scratchFolder } from '../tools/scratch.ts';
import { codeOf, CountingBackend, isLong } from './bed.ts';

/** Hazard D2: an index may say anything. */

const scratch = scratchFolder('hostile-index');
const id = 'ab'.repeat(32);

function indexJson(blob: string): Buffer {
  return Buffer.from(`{"packs":[{"id":"${id}","blobs":[${blob}]}]}`);
}

describe('numbers of a blob', () => {
  const numbers = [
    '-1',
    '1.5',
    '1e2',
    '4294967296',
    '9007199254740993',
    '1e400',
    '"5"',
    'true',
    '[]',
  ];
  const fields = ['offset', 'length', 'uncompressed_length'];
  test.each(fields.flatMap((field) => numbers.map((number) => [field, number])))(
    'with %s %s make the file damaged',
    async (field, number) => {
      const blob: Record<string, string> = { offset: '0', length: '40', uncompressed_length: '9' };
      blob[field] = number;
      const values = Object.entries(blob).map(([key, value]) => `"${key}":${value}`);
      for (const spaces of ['', ' ']) {
        const json = indexJson(`{"id":"${id}",${spaces}"type":"data",${values.join(',')}}`);
        const index = BlobIndex.create();
        expect(await codeOf(() => decodeIndexInto(json, index))).toBe('INDEX_DAMAGED');
        expect(index.blobCount).toBe(0);
      }
    },
  );

  test('that end beyond 4 GiB make the file damaged', async () => {
    const json = indexJson(`{"id":"${id}","type":"data","offset":4294967295,"length":40}`);
    expect(await codeOf(() => decodeIndexInto(json, BlobIndex.create()))).toBe('INDEX_DAMAGED');
  });
});

test('supersedes that go in circles, and other unknown fields, mean nothing', () => {
  const json = Buffer.from(
    `{"supersedes":["${id}"],"packs":[{"id":"${id}","supersedes":["${id}"],"blobs":[{"id":"${id}","type":"data","offset":0,"length":40}]}],"packs_to_delete":[{"id":"${id}"}]}`,
  );
  const index = BlobIndex.create();
  expect(decodeIndexInto(json, index)).toMatchObject({ packCount: 1, blobCount: 1 });
});

// 10 million of them are the long form: 480 MB.
const entryCount = isLong ? 10_000_000 : 50_000;

test(`${entryCount} places for one blob cost a hundred reads`, async () => {
  const backend = new CountingBackend();
  const hostile = await HostileRepository.create(backend);
  const content = 'the content of a file';
  const blob = hostile.blob('data', content);
  await hostile.store();
  // As many files as it takes: one is at most half a gigabyte.
  const perFile = Math.min(entryCount, 1_000_000);
  for (let first = 0; first < entryCount; first += perFile) {
    const places = Array.from(
      { length: perFile },
      (_, i) => `{"id":"${blob}","type":"data","offset":${first + i},"length":40}`,
    );
    const pack = createHash('sha256').update(String(first)).digest('hex');
    await hostile.save('index', `{"packs":[{"id":"${pack}","blobs":[${places.join(',')}]}]}`);
  }
  const index = await loadIndex(hostile.repository, { workerCount: 1 });
  expect(index.blobCount).toBe(entryCount + 1);
  expect(index.find('data', Buffer.from(blob, 'hex'))).toBeGreaterThanOrEqual(0);
  const indexed = new IndexedRepository(hostile.repository, index);
  backend.readCount = 0;
  // The true place is the first that is tried, or not among the hundred: that is for the order of the files to say.
  const found = await codeOf(() => indexed.loadBlob('data', Buffer.from(blob, 'hex')));
  expect(['none', 'BLOB_DAMAGED']).toContain(found);
  for (const key of backend.files.keys()) if (key.startsWith('pack/')) backend.files.delete(key);
  const lost = await codeOf(() => indexed.loadBlob('data', Buffer.from(blob, 'hex')));
  expect(lost).toBe('BLOB_DAMAGED');
  expect(backend.readCount).toBeLessThanOrEqual(200);
});

/** A repository whose packs of data are lost, with a backup in it. */
async function withMissingPack(): Promise<{ location: string; source: string; pack: string }> {
  const location = scratch.fresh('repository');
  const source = scratch.fresh('source');
  mkdirSync(source);
  writeFileSync(path.join(source, 'a'), 'content of a file that is to be found again');
  await initRepository(location);
  await backUp(location, [source]);
  // Everything about the data is lost, but the index still lists it.
  let pack = '';
  for (const name of readdirSync(path.join(location, 'data'), {
    recursive: true,
    encoding: 'utf8',
  })) {
    const file = path.join(location, 'data', name);
    if (name.length < 64 || !existsSync(file)) continue;
    rmSync(file);
    pack = path.basename(name);
  }
  return { location, source, pack };
}

describe('an index that lists a pack that does not exist', () => {
  test('is named by check', async () => {
    const { location, pack } = await withMissingPack();
    const { errors, affectedSnapshots, brokenPacks } = await checkAll(location);
    expect(brokenPacks).toContain(pack);
    expect(errors.join('\n')).toContain(`pack ${pack}: it is missing`);
    const snapshots = await listSnapshots(location);
    expect(affectedSnapshots).toEqual(snapshots.map((snapshot) => snapshot.id));
  });

  test('is not believed by a backup, which stores the data again', async () => {
    const { location, source } = await withMissingPack();
    const { exitCode } = await backUp(location, [source], { options: { force: true } });
    expect(exitCode).toBe(0);
    const target = scratch.fresh('target');
    expect((await restoreLatest(location, target)).complaints).toEqual([]);
  });

  test('does not make an unchanged file of the parent seem stored', async () => {
    const { location, source } = await withMissingPack();
    const { exitCode } = await backUp(location, [source]);
    const target = scratch.fresh('target');
    const { complaints } = await restoreLatest(location, target);
    expect({ exitCode, complaints }).toEqual({ exitCode: 0, complaints: [] });
  });
});

test.each([
  ['the wrong pack', (blob: string) => blob.replace(/"offset":\d+/, '"offset":1')],
  ['a place beyond the pack', (blob: string) => blob.replace(/"offset":\d+/, '"offset":99999999')],
  ['another length', (blob: string) => blob.replace(/"length":\d+/, '"length":45')],
  [
    'another plain length',
    (blob: string) => blob.replace(/"uncompressed_length":\d+/, '"uncompressed_length":3'),
  ],
])('an index with %s gives no wrong bytes, and check names it', async (_, edit) => {
  const location = scratch.fresh('repository');
  const hostile = await HostileRepository.create(location);
  // Such that compressing it pays, and its index tells a plain length.
  const blob = hostile.blob('data', 'content'.repeat(20));
  const tree = hostile.tree(nodeJson('a', { content: [blob], size: 140 }));
  await hostile.store({ index: (json) => Buffer.from(edit(Buffer.from(json).toString())) });
  await hostile.snapshot(tree);
  const { errorCount } = await checkAll(location);
  expect(errorCount).toBeGreaterThan(0);
  const target = scratch.fresh('target');
  const { complaints } = await restoreLatest(location, target);
  expect(complaints).toHaveLength(1);
  await withRepository(location, {}, async (repository) => {
    const indexed = new IndexedRepository(repository, await loadIndex(repository));
    const code = await codeOf(() => indexed.loadBlob('data', Buffer.from(blob, 'hex')));
    expect(['BLOB_DAMAGED', 'RANGE_NOT_SATISFIABLE']).toContain(code);
  });
});
