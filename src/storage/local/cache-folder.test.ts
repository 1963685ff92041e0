import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';

import { afterEach, beforeEach, expect, test } from 'vitest';

import { utf8 } from '../../base/bytes.ts';
import { cache } from '../cache.ts';
import { codeOf, handleFor, listAll } from '../conformance.ts';
import { MemoryBackend } from '../memory/memory-backend.ts';
import { type TemporaryFolder, temporaryFolder, testEnvironment } from '../test-support.ts';
import {
  type CacheFolder,
  listCacheFolders,
  openCacheFolder,
  removeCacheFolder,
} from './cache-folder.ts';

const repositoryId = '0123456789abcdef'.repeat(4);
let folder: TemporaryFolder;
let base = '';

beforeEach(() => {
  folder = temporaryFolder();
  base = path.join(folder.path, 'caches', 'restic');
});

afterEach(() => folder.remove());

function open(id: string = repositoryId): Promise<CacheFolder> {
  return openCacheFolder(base, id, { environment: testEnvironment() });
}

test('has the layout, marks and modes of restic', async () => {
  const opened = await open();
  const handles = (['snapshot', 'index', 'pack'] as const).map((type) => handleFor(type, 'x'));
  for (const handle of handles) await opened.backend.put(handle, [utf8(handle.type)]);
  const name = handleFor('pack', 'x').name;
  const files = readdirSync(base, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(base, path.join(entry.parentPath, entry.name)));
  expect(files.sort()).toEqual(
    [
      'CACHEDIR.TAG',
      `${repositoryId}/version`,
      `${repositoryId}/data/${name.slice(0, 2)}/${name}`,
      `${repositoryId}/index/${name.slice(0, 2)}/${name}`,
      `${repositoryId}/snapshots/${name.slice(0, 2)}/${name}`,
    ].sort(),
  );
  expect(readFileSync(path.join(base, 'CACHEDIR.TAG'), 'latin1')).toBe(
    'Signature: 8a477f597d28d172789f06886806bc55\n',
  );
  expect(readFileSync(path.join(opened.path, 'version'), 'latin1')).toBe('1');
  expect(statSync(opened.path).mode & 0o777).toBe(0o700);
  expect(statSync(path.join(opened.path, 'data')).mode & 0o777).toBe(0o700);
  for (const handle of handles) {
    expect(await opened.backend.get(handle)).toEqual(utf8(handle.type));
    expect(await listAll(opened.backend, handle.type)).toHaveLength(1);
  }
});

test('says whether it is new, and when it was used last', async () => {
  expect((await open()).isNew).toBe(true);
  utimesSync(path.join(base, repositoryId), 1, 1);
  expect((await open()).isNew).toBe(false);
  const [summary] = await listCacheFolders(base);
  expect(summary?.usedMs).toBe(testEnvironment().clock.nowMs);
});

test('refuses what a newer program wrote, and repairs an empty version', async () => {
  const version = path.join(base, repositoryId, 'version');
  await open();
  for (const text of ['2', 'x', '-1']) {
    writeFileSync(version, text);
    expect(await codeOf(open())).toBe('FORMAT_UNSUPPORTED');
  }
  writeFileSync(version, '');
  await open();
  expect(readFileSync(version, 'latin1')).toBe('1');
});

test('refuses an id that is none, and a place that is no folder', async () => {
  expect(await codeOf(open('../x'))).toBe('ASSERTION_FAILED');
  mkdirSync(path.dirname(base), { recursive: true });
  writeFileSync(base, 'a file');
  await expect(open()).rejects.toMatchObject({
    code: 'LOCATION_INVALID',
    message: 'a file stands where a folder is needed',
    details: { path: base },
  });
});

// Node's own way of making folders with those above them never ends there.
test.runIf(process.platform === 'linux')('ends where no folder can be made', async () => {
  base = '/proc/holdfast-cache/deeper';
  await expect(open()).rejects.toMatchObject({
    code: 'LOCATION_INVALID',
    message: 'no folder can be made here',
    details: { path: '/proc/holdfast-cache' },
  });
});

test('stores no keys, locks or config', async () => {
  const { backend } = await open();
  for (const type of ['key', 'lock'] as const) {
    expect(await codeOf(backend.put(handleFor(type, 'x'), []))).toBe('ASSERTION_FAILED');
  }
  expect(await codeOf(backend.put({ type: 'config', name: '' }, []))).toBe('ASSERTION_FAILED');
});

test('is listed with its size, and removed', async () => {
  expect(await listCacheFolders(base)).toEqual([]);
  const { backend } = await open();
  await backend.put(handleFor('index', 'x'), [new Uint8Array(1000)]);
  await open('f'.repeat(64));
  mkdirSync(path.join(base, 'restic-check-cache-123'));
  mkdirSync(path.join(base, 'notes'));
  writeFileSync(path.join(base, 'a'.repeat(64)), 'a file');
  const found = await listCacheFolders(base);
  expect(Object.fromEntries(found.map(({ name, sizeBytes }) => [name, sizeBytes]))).toEqual({
    [repositoryId]: 1001,
    ['f'.repeat(64)]: 1,
    'restic-check-cache-123': 0,
  });
  await removeCacheFolder(base, repositoryId);
  await removeCacheFolder(base, repositoryId);
  expect(existsSync(path.join(base, repositoryId))).toBe(false);
  expect(await codeOf(removeCacheFolder(base, 'notes'))).toBe('ASSERTION_FAILED');
  expect(await codeOf(removeCacheFolder(base, '..'))).toBe('ASSERTION_FAILED');
});

test('serves a repository, also while somebody deletes it', async () => {
  const inner = new MemoryBackend();
  const opened = await open();
  const problems: unknown[] = [];
  const backend = cache(inner, opened.backend, { onProblem: (error) => problems.push(error) });
  await backend.put(handleFor('index', 'one'), [utf8('one')]);
  expect(await listAll(opened.backend, 'index')).toHaveLength(1);
  await removeCacheFolder(base, repositoryId);
  await backend.put(handleFor('index', 'two'), [utf8('two')]);
  expect(await backend.get(handleFor('index', 'one'))).toEqual(utf8('one'));
  expect(await backend.get(handleFor('index', 'two'))).toEqual(utf8('two'));
  expect(problems).toHaveLength(1);
  expect(existsSync(opened.path)).toBe(false);
});

test('leftovers of interrupted writes can be removed', async () => {
  const opened = await open();
  const fan = path.join(opened.path, 'index', 'ab');
  mkdirSync(fan, { recursive: true });
  writeFileSync(path.join(fan, 'tmp-123'), 'x');
  utimesSync(path.join(fan, 'tmp-123'), 1, 1);
  expect(await opened.backend.removeLeftovers?.()).toBe(1);
  expect(readdirSync(fan)).toEqual([]);
});
