import { ftruncateSync, openSync, closeSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { defined } from '../../base/assert.ts';
import { concatBytes, toHex } from '../../base/bytes.ts';
import { systemEnvironment } from '../../base/environment.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { memoryKey } from '../../storage/memory/memory-backend.ts';
import {
  madeOfPieces,
  noise,
  restoreHeard,
  SnapshotMaker,
  someTime,
  type TestFolder,
  testFolder,
} from '../engine-test-support.ts';
import type { RestoreProgress } from '../restore.ts';
import { compareFile } from './compare.ts';
import { PartWriter } from './part-writer.ts';
import { StopFlag } from './stop-flag.ts';

let folder: TestFolder;
beforeAll(() => {
  folder = testFolder();
});
afterAll(() => folder.remove());

const zeros = new Uint8Array(8 << 20);

/** A snapshot of one file that is the same blob of zeros again and again. */
async function zerosFile(count: number) {
  const maker = new SnapshotMaker();
  const one = maker.node('large', madeOfPieces([zeros]));
  const id = defined(one.content, 'a file has content');
  const content = concatBytes(Array.from({ length: count }, () => id));
  const sizeBytes = count * zeros.byteLength;
  const snapshot = await maker.snapshot(maker.tree([{ ...one, content, sizeBytes }]));
  return { maker, snapshot, indexed: await maker.indexed(), content, sizeBytes };
}

function openFolder(): { readonly target: string; readonly directory: number } {
  const target = folder.fresh();
  mkdirSync(target);
  return { target, directory: openSync(target, 'r') };
}

function packOf(indexed: IndexedRepository, maker: SnapshotMaker, id: Uint8Array) {
  const entry = indexed.index.find('data', id);
  const name = toHex(indexed.index.packId(indexed.index.packOf(entry)));
  const bytes = defined(maker.backend.files.get(memoryKey({ type: 'pack', name })), 'it is there');
  return { entry, content: { kind: 'bytes', bytes: bytes.slice(), start: 0 } as const };
}

test('one blob that goes to very many places is told of as it is written, and can be stopped', async () => {
  const { maker, indexed, content } = await zerosFile(8);
  const { target, directory } = openFolder();
  const { entry, content: pack } = packOf(indexed, maker, content.subarray(0, 32));
  const stop = new StopFlag();
  const writer = new PartWriter(indexed.index, indexed.repository.sealer, stop);
  const task = {
    file: 0,
    directory,
    name: Buffer.from('large'),
    salt: 0,
    sizeBytes: 8 * zeros.byteLength,
    mode: 'whole',
    zeros: 'written',
    replaces: false,
    linkCount: 1,
    metadata: {
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: someTime,
      atime: someTime,
      attributes: [],
      clearsAttributes: false,
    },
  } as const;
  const targets = Array.from({ length: 8 }, (_, i) => ({ task: 0, offset: i * zeros.byteLength }));
  const told: number[] = [];
  const write = (): unknown =>
    writer.writePart(
      { type: 'part', content: pack, tasks: [task], blobs: [{ entry, targets }] },
      ({ bytesWritten }) => {
        told.push(bytesWritten);
        if (told.length === 2) stop.set();
      },
    );
  expect(write).toThrow(expect.objectContaining({ code: 'CANCELLED' }));
  closeSync(directory);
  expect(told).toEqual([2 * zeros.byteLength, 2 * zeros.byteLength]);
  const [name = ''] = readdirSync(target);
  expect(statSync(path.join(target, name)).size).toBe(4 * zeros.byteLength);
});

test('a comparison can be stopped between two blobs', async () => {
  const { indexed, content, sizeBytes } = await zerosFile(2);
  const { target, directory } = openFolder();
  const fd = openSync(path.join(target, 'large'), 'w');
  ftruncateSync(fd, sizeBytes);
  closeSync(fd);
  const file = { directory, name: Buffer.from('large'), content };
  const stop = new StopFlag();
  expect(compareFile(indexed.index, file, stop).isWhole).toBe(true);
  stop.set();
  expect(() => compareFile(indexed.index, file, stop)).toThrow(
    expect.objectContaining({ code: 'CANCELLED' }),
  );
  closeSync(directory);
});

test('an interrupt amid the comparison of a large file ends the restore', async () => {
  // What takes minutes to compare, and no room.
  const { snapshot, indexed, sizeBytes } = await zerosFile(1 << 15);
  const target = folder.fresh();
  mkdirSync(target);
  const file = openSync(path.join(target, 'large'), 'w');
  ftruncateSync(file, sizeBytes);
  closeSync(file);
  const interrupt = new AbortController();
  const onProgress = ({ currentItems }: RestoreProgress): void => {
    if (currentItems.includes('/large')) interrupt.abort();
  };
  const context = { environment: systemEnvironment, signal: interrupt.signal };
  const run = restoreHeard(indexed, { snapshot, target, onProgress }, context);
  await expect(run).rejects.toMatchObject({ code: 'CANCELLED' });
});

test('progress goes on within a file, and names it', async () => {
  const pieces = Array.from({ length: 12 }, (_, i) => noise(4 << 20, i + 1));
  const maker = new SnapshotMaker();
  const snapshot = await maker.snapshotOf({ large: madeOfPieces(pieces), small: 'x' });
  const heard: RestoreProgress[] = [];
  const request = {
    snapshot,
    target: folder.fresh(),
    onProgress: (progress: RestoreProgress): void => void heard.push(progress),
  };
  const result = await restoreHeard(await maker.indexed(), request);
  const within = heard.filter(({ filesDone, bytesDone }) => filesDone <= 1 && bytesDone > 1);
  expect(within.length).toBeGreaterThan(0);
  expect(within.some(({ currentItems }) => currentItems.includes('/large'))).toBe(true);
  const done = heard.map(({ bytesDone }) => bytesDone);
  expect(done).toEqual(done.toSorted((a, b) => a - b));
  expect(done.at(-1)).toBe(result.bytesRestored);
});
