import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { once } from 'node:events';
import path from 'node:path';
import { Worker } from 'node:worker_threads';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { utf8 } from '../../base/bytes.ts';
import { systemClock } from '../../base/clock.ts';
import type { FileHandle } from '../backend.ts';
import { codeOf, describeBackend, handleFor, listAll } from '../conformance.ts';
import { type TemporaryFolder, temporaryFolder, testEnvironment } from '../test-support.ts';
import { LocalBackend } from './local-backend.ts';

describeBackend('local', async () => {
  const folder = temporaryFolder();
  const root = path.join(folder.path, 'repository');
  const open = (): Promise<LocalBackend> =>
    LocalBackend.open(root, { environment: testEnvironment() });
  const backend = await open();
  await backend.create();
  return {
    backend,
    other: await open(),
    plant: async (name, content) => {
      const target = path.join(root, name);
      mkdirSync(path.dirname(target), { recursive: true });
      writeFileSync(target, content);
    },
    dispose: async () => folder.remove(),
  };
});

const config: FileHandle = { type: 'config', name: '' };
const pack = handleFor('pack', 'local');
let folder: TemporaryFolder;
let root = '';
let backend: LocalBackend;

beforeEach(async () => {
  folder = temporaryFolder();
  root = path.join(folder.path, 'deep', 'repository');
  backend = await reopen();
  await backend.create();
});

afterEach(async () => {
  await backend.close();
  folder.remove();
});

function reopen(): Promise<LocalBackend> {
  return LocalBackend.open(root, { environment: testEnvironment() });
}

function pathOf(handle: FileHandle): string {
  return path.join(root, 'data', handle.name.slice(0, 2), handle.name);
}

function modeOf(name: string): string {
  return (statSync(path.join(root, name)).mode & 0o7777).toString(8);
}

describe('the filesystem', () => {
  test('lists at once if it is of this machine alone', async () => {
    const { type } = statfsSync(root);
    const isKnown = [0xef53, 0x58465342, 0x9123683e, 0x01021994].includes(type);
    expect((await reopen()).listsAtOnce).toBe(isKnown);
  });

  test('of the kernel, or of a folder that is not there, is not taken for one', async () => {
    const environment = testEnvironment();
    expect((await LocalBackend.open('/proc/self', { environment })).listsAtOnce).toBe(false);
    const absent = path.join(folder.path, 'absent');
    expect((await LocalBackend.open(absent, { environment })).listsAtOnce).toBe(false);
  });
});

describe('the folder', () => {
  test('has the layout of restic', async () => {
    expect(readdirSync(root).sort()).toEqual(['data', 'index', 'keys', 'locks', 'snapshots']);
    const fans = readdirSync(path.join(root, 'data')).sort();
    expect([fans.length, fans[0], fans[171], fans[255]]).toEqual([256, '00', 'ab', 'ff']);
    await backend.put(config, [utf8('config')]);
    await backend.put(pack, [utf8('pack')]);
    for (const [type, name] of [
      ['key', 'keys'],
      ['lock', 'locks'],
      ['snapshot', 'snapshots'],
      ['index', 'index'],
    ] as const) {
      const handle = handleFor(type, 'x');
      await backend.put(handle, [utf8(type)]);
      expect(readFileSync(path.join(root, name, handle.name), 'utf8')).toBe(type);
    }
    expect(readFileSync(path.join(root, 'config'), 'utf8')).toBe('config');
    expect(readFileSync(pathOf(pack), 'utf8')).toBe('pack');
    expect(backend.localPath).toBe(root);
    expect(backend.location).toBe(root);
  });

  test('is for its owner alone', async () => {
    await backend.put(config, [utf8('config')]);
    await backend.put(pack, [utf8('pack')]);
    expect([modeOf('.'), modeOf('data/ab'), modeOf('config')]).toEqual(['700', '700', '400']);
    expect(statSync(pathOf(pack)).mode & 0o777).toBe(0o400);
  });

  test('is for the group if that may read the config', async () => {
    await backend.put(config, [utf8('config')]);
    chmodSync(path.join(root, 'config'), 0o440);
    rmSync(path.dirname(pathOf(pack)), { recursive: true });
    const before = process.umask(0);
    try {
      await (await reopen()).put(pack, [utf8('pack')]);
    } finally {
      process.umask(before);
    }
    expect(statSync(pathOf(pack)).mode & 0o777).toBe(0o440);
    expect(statSync(path.dirname(pathOf(pack))).mode & 0o777).toBe(0o770);
  });

  test('gets missing folders back when something is written, and is empty without them', async () => {
    await backend.put(config, [utf8('config')]);
    for (const name of readdirSync(root).filter((entry) => entry !== 'config')) {
      rmSync(path.join(root, name), { recursive: true });
    }
    for (const type of ['key', 'lock', 'snapshot', 'index', 'pack'] as const) {
      expect(await listAll(backend, type)).toEqual([]);
      await backend.put(handleFor(type, 'x'), [utf8('x')]);
      expect(await listAll(backend, type)).toHaveLength(1);
    }
  });

  test('is never made by a put: an unplugged disk leaves an empty mount point', async () => {
    await backend.put(config, [utf8('config')]);
    renameSync(root, `${root}-unplugged`);
    expect(await codeOf(backend.put(pack, [utf8('x')]))).toBe('REPOSITORY_NOT_FOUND');
    expect(await codeOf(backend.put(config, [utf8('x')]))).toBe('REPOSITORY_NOT_FOUND');
    expect(existsSync(root)).toBe(false);
    mkdirSync(root);
    expect(await codeOf(backend.put(pack, [utf8('x')]))).toBe('REPOSITORY_NOT_FOUND');
    expect(readdirSync(root)).toEqual([]);
  });

  test('cannot have a file where a folder belongs', async () => {
    rmSync(path.join(root, 'keys'), { recursive: true });
    writeFileSync(path.join(root, 'keys'), 'x');
    expect(await codeOf(backend.create())).toBe('LOCATION_INVALID');
    expect(await codeOf(backend.put(handleFor('key', 'x'), [utf8('x')]))).toBe('LOCATION_INVALID');
    expect(await codeOf(listAll(backend, 'key'))).toBe('LOCATION_INVALID');
    // But in place of a fan it is ignored.
    rmSync(path.dirname(pathOf(pack)), { recursive: true });
    writeFileSync(path.dirname(pathOf(pack)), 'x');
    expect(await listAll(backend, 'pack')).toEqual([]);
    expect(await codeOf(backend.get(pack))).toBe('FILE_NOT_FOUND');
    expect(await codeOf(backend.put(pack, [utf8('x')]))).toBe('LOCATION_INVALID');
    expect(await backend.removeLeftovers()).toBe(0);
  });
});

describe('reading', () => {
  test('follows links, but takes only regular files', async () => {
    await backend.put(pack, [utf8('pack')]);
    const target = path.join(folder.path, 'elsewhere');
    renameSync(pathOf(pack), target);
    symlinkSync(target, pathOf(pack));
    expect(await backend.get(pack)).toEqual(utf8('pack'));
    expect(await listAll(backend, 'pack')).toEqual([{ name: pack.name, sizeBytes: 4 }]);

    const directory = handleFor('pack', 'directory');
    mkdirSync(pathOf(directory));
    expect(await codeOf(backend.stat(directory))).toBe('FILE_NOT_FOUND');
    expect(await codeOf(backend.get(directory))).toBe('FILE_NOT_FOUND');
    expect(await codeOf(backend.get(directory, { start: 0, end: 1 }))).toBe('FILE_NOT_FOUND');
    expect(await listAll(backend, 'pack')).toHaveLength(1);
  });

  test('leaves out a pack in the wrong folder: it could not be read', async () => {
    await backend.put(pack, [utf8('pack')]);
    const wrong = path.join(root, 'data', pack.name.startsWith('00') ? '01' : '00', pack.name);
    renameSync(pathOf(pack), wrong);
    expect(await listAll(backend, 'pack')).toEqual([]);
    expect(await codeOf(backend.get(pack))).toBe('FILE_NOT_FOUND');
  });

  test('keeps no file that was removed', async () => {
    await backend.put(pack, [utf8('pack')]);
    const range = { start: 0, end: 2 };
    expect(await backend.get(pack, range)).toEqual(utf8('pa'));
    await backend.remove(pack);
    expect(await codeOf(backend.get(pack, range))).toBe('FILE_NOT_FOUND');
    await backend.put(pack, [utf8('other')]);
    expect(await backend.get(pack, range)).toEqual(utf8('ot'));
  });

  test('removes several, and tells which of them were there and are gone', async () => {
    const handles = ['a', 'b', 'c', 'absent'].map((seed) => handleFor('snapshot', seed));
    const names = handles.map(({ name }) => name);
    const [a = '', , c = ''] = names;
    for (const handle of handles.slice(0, 2)) await backend.put(handle, [utf8('x')]);
    mkdirSync(path.join(root, 'snapshots', c));
    expect((await backend.removeSeveral('snapshot', names)).toSorted()).toEqual(
      names.slice(0, 2).toSorted(),
    );
    expect(await backend.removeSeveral('snapshot', names)).toEqual([]);
    expect(existsSync(path.join(root, 'snapshots', a))).toBe(false);
    expect(existsSync(path.join(root, 'snapshots', c))).toBe(true);
  });

  test('asks before each of several, and leaves what is not admitted', async () => {
    const handles = Array.from({ length: 5 }, (_, i) => handleFor('snapshot', `${i}`));
    for (const handle of handles) await backend.put(handle, [utf8('x')]);
    let admitted = 2;
    const admit = (): Promise<void> | undefined =>
      admitted-- > 0 ? undefined : Promise.reject(new Error('the lock is lost'));
    const names = handles.map(({ name }) => name);
    expect(await backend.removeSeveral('snapshot', names, { admit })).toHaveLength(2);
    expect(await listAll(backend, 'snapshot')).toHaveLength(3);
    const signal = AbortSignal.abort();
    expect(await codeOf(backend.removeSeveral('snapshot', names, { signal }))).toBe('CANCELLED');
    expect(await listAll(backend, 'snapshot')).toHaveLength(3);
  });

  test('sees that a file was cut short while it was open', async () => {
    await backend.put(pack, [utf8('0123456789')]);
    expect(await backend.get(pack, { start: 0, end: 2 })).toEqual(utf8('01'));
    chmodSync(pathOf(pack), 0o600);
    truncateSync(pathOf(pack), 5);
    const get = backend.get(pack, { start: 4, end: 8 });
    expect(await codeOf(get)).toBe('RANGE_NOT_SATISFIABLE');
  });

  test('opens no more files than it says, however many are read', async () => {
    if (!existsSync('/proc/self/fd')) return;
    const before = readdirSync('/proc/self/fd').length;
    const handles = Array.from({ length: 200 }, (_, i) => handleFor('pack', `${i}`));
    for (const handle of handles) await backend.put(handle, [utf8('0123456789')]);
    for (let round = 0; round < 3; round++) {
      await Promise.all(handles.map((handle) => backend.get(handle, { start: 1, end: 2 })));
    }
    expect(readdirSync('/proc/self/fd').length - before).toBeLessThanOrEqual(8);
    await backend.close();
    // The last closes run in the thread pool.
    for (let i = 0; readdirSync('/proc/self/fd').length > before && i < 1000; i++) {
      await backend.list('config')[Symbol.asyncIterator]().next();
    }
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before);
  });
});

function plantAged(file: string, ageSeconds: number): string {
  const target = path.join(root, file);
  writeFileSync(target, 'x');
  const changed = testEnvironment().clock.nowMs / 1000 - ageSeconds;
  utimesSync(target, changed, changed);
  return target;
}

describe('leftovers', () => {
  const day = 24 * 3600;
  const name = handleFor('pack', 'left').name;

  test('of interrupted writes are removed when they are a day old', async () => {
    const fan = `data/${name.slice(0, 2)}`;
    const old = [
      `${fan}/${name}-tmp-123`,
      `index/${name}-tmp-4294967295`,
      `keys/${name}-restic-temp-${'0af1'.repeat(8)}`,
      `locks/${name}.rest-server-temp77`,
      'config-tmp-1',
    ].map((file) => plantAged(file, day + 1));
    const kept = [
      plantAged(`${fan}/${name}-tmp-124`, day - 1),
      plantAged(`${fan}/${name}-tmp-125`, -day),
      plantAged(`${fan}/${name}`, 100 * day),
      plantAged(`${fan}/${name}-tmp-x`, 100 * day),
      plantAged('notes-tmp-1', 100 * day),
      plantAged('config', 100 * day),
    ];
    expect(await backend.removeLeftovers()).toBe(old.length);
    expect(old.filter((file) => existsSync(file))).toEqual([]);
    expect(kept.filter((file) => !existsSync(file))).toEqual([]);
    expect(await backend.removeLeftovers()).toBe(0);
  });

  test('that are a second name of a stored file go without it', async () => {
    await backend.put(pack, [utf8('pack')]);
    const second = `${pathOf(pack)}-tmp-9`;
    linkSync(pathOf(pack), second);
    utimesSync(second, 1, 1);
    expect(await backend.removeLeftovers()).toBe(1);
    expect(await backend.get(pack)).toEqual(utf8('pack'));
  });
});

/** Replaces a file by one of another name, again and again without a pause. */
const replacing = `
const { unlinkSync, writeFileSync } = require('node:fs');
const { folder, state } = require('node:worker_threads').workerData;
const pathOf = (count) => folder + '/' + count.toString(16).padStart(64, '0');
writeFileSync(pathOf(0), 'x');
for (let count = 0; Atomics.load(state, 0) === 0; Atomics.store(state, 1, ++count)) {
  writeFileSync(pathOf(count + 1), 'x');
  unlinkSync(pathOf(count));
}`;

test('a file that is replaced by another all the time is listed at each instant', async () => {
  const state = new Int32Array(new SharedArrayBuffer(8));
  const workerData = { folder: path.join(root, 'locks'), state };
  const worker = new Worker(replacing, { eval: true, workerData });
  while (Atomics.load(state, 1) === 0) await systemClock.nextTurn();
  const counts = new Set<number>();
  for (let i = 0; i < 500; i++) counts.add((await listAll(backend, 'lock')).length);
  Atomics.store(state, 0, 1);
  await once(worker, 'exit');
  expect(counts).not.toContain(0);
});

test('a link to nowhere is not listed', async () => {
  const handle = handleFor('lock', 'kept');
  await backend.put(handle, [utf8('x')]);
  symlinkSync('nowhere', path.join(root, 'locks', 'a'.repeat(64)));
  expect(await listAll(backend, 'lock')).toEqual([{ name: handle.name, sizeBytes: 1 }]);
});

test('writes no temporary file that stays', async () => {
  const handles = Array.from({ length: 30 }, (_, i) => handleFor('index', `${i % 20}`));
  await Promise.allSettled(handles.map((handle) => backend.put(handle, [utf8('x')])));
  await backend.put(config, [utf8('a')]);
  await backend.put(config, [utf8('b')], { replace: true });
  const names = readdirSync(path.join(root, 'index'));
  expect(names).toHaveLength(20);
  expect(names.every((name) => /^[0-9a-f]{64}$/.test(name))).toBe(true);
  expect(readdirSync(root).filter((name) => name.startsWith('config'))).toEqual(['config']);
});

test('takes another temporary name if the first is taken', async () => {
  let calls = 0;
  const fixed = {
    fill<T extends Uint8Array>(target: T): T {
      target.fill(calls++ < 3 ? 0 : 7);
      return target;
    },
  };
  writeFileSync(`${pathOf(pack)}-tmp-0`, 'leftover');
  const other = await LocalBackend.open(root, {
    environment: { clock: testEnvironment().clock, random: fixed },
  });
  await other.put(pack, [utf8('again')]);
  expect(await other.get(pack)).toEqual(utf8('again'));
  expect(readFileSync(`${pathOf(pack)}-tmp-0`, 'utf8')).toBe('leftover');
  expect(calls).toBe(4);
});
