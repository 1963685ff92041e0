import { afterEach, beforeEach, expect, test } from 'vitest';

import { fault, loseAnswer } from '../../../test/model-s3/faults.ts';
import { type ModelS3, startModelS3 } from '../../../test/model-s3/model-s3.ts';
import { utf8 } from '../../base/bytes.ts';
import type { Environment } from '../../base/environment.ts';
import type { Backend, FileHandle } from '../backend.ts';
import { codeOf, handleOf } from '../conformance.ts';
import { openBackend } from '../open.ts';
import { JumpingClock, seededRandom } from '../test-support.ts';

const hourMs = 3_600_000;
const content = utf8('content');
const pack = handleOf('pack', content);

/** While somebody sleeps, the archive works. */
class ArchiveClock extends JumpingClock {
  readonly #model: ModelS3;

  constructor(model: ModelS3) {
    super();
    this.#model = model;
  }

  override async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.#model.pass(ms);
    await super.sleep(ms, signal);
  }
}

let model: ModelS3;
let clock: ArchiveClock;
let notes: string[];
let opened: Backend[];
beforeEach(async () => {
  model = await startModelS3();
  clock = new ArchiveClock(model);
  notes = [];
  opened = [];
  model.bucket('bucket');
});
afterEach(async () => {
  for (const backend of opened) await backend.close();
  await model.stop();
});

async function open(options: Readonly<Record<string, string>> = {}): Promise<Backend> {
  const environment: Environment = { clock, random: seededRandom(1) };
  const backend = await openBackend(`s3:${model.endpoint}/bucket/repo`, {
    environment,
    variables: model.variables,
    extended: new Map(Object.entries({ 's3.enable-restore': 'true', ...options })),
    monitor: { note: (text) => notes.push(text), problem: () => {} },
  });
  opened.push(backend);
  return backend;
}

function plant(handle: FileHandle, storageClass: string): void {
  const key = `repo/data/${handle.name.slice(0, 2)}/${handle.name}`;
  model.plant('bucket', key, { content: Buffer.from(content), storageClass });
}

test.each([
  ['GLACIER', 'Expedited', 5 / 60],
  ['GLACIER', 'Standard', 5],
  ['DEEP_ARCHIVE', 'Bulk', 48],
])('brings back what is read from %s by %s', async (storageClass, tier, hours) => {
  plant(pack, storageClass);
  const backend = await open({ 's3.restore-tier': tier, 's3.restore-timeout': '72h' });
  const began = clock.nowMs;
  expect(await backend.get(pack)).toEqual(content);
  const tookHours = (clock.nowMs - began) / hourMs;
  expect(tookHours).toBeGreaterThanOrEqual(hours - 0.01);
  expect(tookHours).toBeLessThan(hours + 0.3);
  expect(model.counts()).toMatchObject({ RestoreObject: 1, GetObject: 2 });
  expect(notes).toEqual([
    `pack ${pack.name.slice(0, 10)} stands in an archive; waiting until the storage has it back`,
  ]);
  expect(await backend.get(pack, { start: 1, end: 3 })).toEqual(content.subarray(1, 3));
});

test('brings back from the tiers of the class that moves objects by itself', async () => {
  plant(pack, 'INTELLIGENT_TIERING');
  const [version] = [...model.bucket('bucket').versions.values()].flat();
  if (version) version.archiveTier = 'DEEP_ARCHIVE_ACCESS';
  const backend = await open();
  expect(await backend.thaw?.(pack)).toEqual({
    storageClass: 'DEEP_ARCHIVE_ACCESS',
    isNew: true,
    expectedMs: 12 * hourMs,
  });
  expect(await backend.get(pack)).toEqual(content);
  // It stays, so nobody is asked for a number of days.
  expect(
    model.seen.find(({ operation }) => operation === 'RestoreObject')?.body.toString(),
  ).not.toContain('Days');
});

test('asks once, whoever asks, and finds what is back', async () => {
  plant(pack, 'GLACIER');
  const backend = await open();
  const other = await open();
  expect(await backend.thaw?.(pack)).toMatchObject({ isNew: true, expectedMs: 5 * hourMs });
  expect(await other.thaw?.(pack)).toMatchObject({ isNew: false });
  model.pass(5 * hourMs);
  expect(await other.thaw?.(pack)).toBeUndefined();
  expect(model.counts()).toMatchObject({ RestoreObject: 1 });
  // The copy goes after the days that were asked for.
  model.pass(8 * 24 * hourMs);
  expect(await other.thaw?.(pack)).toMatchObject({ isNew: true });
});

test('passes over what is in no archive', async () => {
  plant(pack, 'GLACIER_IR');
  const backend = await open();
  expect(await backend.thaw?.(pack)).toBeUndefined();
  expect(await backend.get(pack)).toEqual(content);
  expect(await codeOf(backend.thaw?.(handleOf('pack', utf8('none'))) ?? Promise.resolve())).toBe(
    'FILE_NOT_FOUND',
  );
});

test('says that a tier is not to be had, before anything is asked for', async () => {
  plant(pack, 'DEEP_ARCHIVE');
  const backend = await open({ 's3.restore-tier': 'Expedited' });
  await expect(backend.get(pack)).rejects.toMatchObject({
    code: 'UNSUPPORTED',
    message: 'nothing comes back from DEEP_ARCHIVE by the tier "Expedited"',
  });
  expect(model.counts()['RestoreObject']).toBeUndefined();
});

test('says that it may not ask', async () => {
  plant(pack, 'GLACIER');
  model.users = model.users.map((user) => ({
    ...user,
    may: (operation) => operation !== 'RestoreObject',
  }));
  expect(await codeOf((await open()).get(pack))).toBe('PERMISSION_DENIED');
});

test('gives up in time, and says that it was asked for', async () => {
  plant(pack, 'DEEP_ARCHIVE');
  const backend = await open({ 's3.restore-timeout': '10m' });
  await expect(backend.get(pack)).rejects.toMatchObject({
    code: 'FILE_ARCHIVED',
    hint: expect.stringContaining('It was asked for.'),
  });
  expect(clock.sleptMs).toHaveLength(10);
});

test('asks for nothing unless told to', async () => {
  plant(pack, 'GLACIER');
  const backend = await open({ 's3.enable-restore': 'false' });
  expect(backend.thawing).toBeUndefined();
  expect(await codeOf(backend.get(pack))).toBe('FILE_ARCHIVED');
  expect(model.counts()).toEqual({ GetObject: 1 });
});

test('holds no connection while it waits', async () => {
  const others = ['a', 'b', 'c'].map((text) => handleOf('pack', utf8(text)));
  for (const handle of others) plant(handle, 'GLACIER');
  plant(pack, 'STANDARD');
  const backend = await open({ 's3.connections': '1' });
  const waits = others.map((handle) => backend.get(handle));
  expect(await backend.get(pack)).toEqual(content);
  expect(await Promise.all(waits)).toHaveLength(3);
  expect(model.busiest).toBe(1);
});

test('takes a pack for stored whose answer was lost, without reading it from the archive', async () => {
  model.faults = [fault('PutObject', loseAnswer, { times: 1 })];
  const backend = await open({ 's3.enable-restore': 'false', 's3.storage-class': 'GLACIER' });
  await backend.put(pack, [content]);
  expect(model.counts()).toEqual({ PutObject: 2, HeadObject: 1 });
  const stored = [...model.bucket('bucket').versions.values()].flat();
  expect(stored.map(({ storageClass }) => storageClass)).toEqual(['GLACIER']);
});
