import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { utf8 } from '../../base/bytes.ts';
import { codeOf, handleFor, listAll } from '../conformance.ts';
import { type TemporaryFolder, temporaryFolder, testEnvironment } from '../test-support.ts';
import { LocalBackend } from './local-backend.ts';
import { describeWith } from '../../../test/tools/peers.ts';

// Faults of the kernel, not of a stand-in: a small or read-only file system, another user, and system calls that strace
// makes fail or die.

let folder: TemporaryFolder;
let root = '';

beforeEach(() => {
  folder = temporaryFolder();
  root = path.join(folder.path, 'repository');
});

afterEach(() => folder.remove());

function open(): Promise<LocalBackend> {
  return LocalBackend.open(root, { environment: testEnvironment() });
}

/** All files below the repository that are no folders. */
function filesBelow(place: string = root): string[] {
  return readdirSync(place, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(place, path.join(entry.parentPath, entry.name)));
}

describeWith(['mount'], 'on a file system of 1 MiB', () => {
  beforeEach(() => {
    mkdirSync(root);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', root]);
  });

  afterEach(() => execFileSync('umount', [root]));

  test('a put that does not fit is STORAGE_FULL and leaves nothing', async () => {
    const backend = await open();
    await backend.create();
    const large = handleFor('pack', 'large');
    const put = backend.put(large, [new Uint8Array(600_000), new Uint8Array(600_000)]);
    expect(await codeOf(put)).toBe('STORAGE_FULL');
    expect(filesBelow()).toEqual([]);
    await backend.put(large, [new Uint8Array(500_000)]);
    expect((await backend.stat(large)).sizeBytes).toBe(500_000);
  });

  test('files can be read and removed on a full one, and then there is space again', async () => {
    const backend = await open();
    await backend.create();
    const handles = Array.from({ length: 20 }, (_, i) => handleFor('pack', `${i}`));
    const ends = await Promise.allSettled(
      handles.map((handle) => backend.put(handle, [new Uint8Array(100_000).fill(1)])),
    );
    const stored = handles.filter((_, i) => ends[i]?.status === 'fulfilled');
    expect(stored.length).toBeGreaterThan(3);
    expect(stored.length).toBeLessThan(11);
    expect(filesBelow()).toHaveLength(stored.length);
    for (const end of ends) {
      if (end.status === 'rejected') expect(end.reason.code).toBe('STORAGE_FULL');
    }
    for (const handle of stored) {
      const content = await backend.get(handle);
      expect(Buffer.compare(content, new Uint8Array(100_000).fill(1))).toBe(0);
      await backend.remove(handle);
    }
    await backend.put(handleFor('pack', 'again'), [new Uint8Array(500_000)]);
  });

  test('a read-only one is READ_ONLY for writes and can be read', async () => {
    const writer = await open();
    await writer.create();
    const handle = handleFor('snapshot', 'x');
    await writer.put(handle, [utf8('x')]);
    execFileSync('mount', ['-o', 'remount,ro', root]);
    const backend = await open();
    expect(await backend.get(handle)).toEqual(utf8('x'));
    expect(await codeOf(backend.put(handleFor('snapshot', 'y'), [utf8('y')]))).toBe('READ_ONLY');
    expect(await codeOf(backend.put(handleFor('pack', 'y'), [utf8('y')]))).toBe('READ_ONLY');
    expect(await codeOf(backend.remove(handle))).toBe('READ_ONLY');
    expect(await listAll(backend, 'snapshot')).toHaveLength(1);
  });
});

describe.skipIf(process.getuid?.() !== 0)('as another user (needs to be root first)', () => {
  test('everything is PERMISSION_DENIED', async () => {
    const backend = await open();
    await backend.create();
    const handle = handleFor('snapshot', 'x');
    await backend.put(handle, [utf8('x')]);
    await backend.put({ type: 'config', name: '' }, [utf8('config')]);
    chmodSync(folder.path, 0o755);
    process.seteuid?.(65534);
    try {
      expect(await codeOf(open())).toBe('PERMISSION_DENIED');
      expect(await codeOf(backend.get(handle))).toBe('PERMISSION_DENIED');
      expect(await codeOf(backend.stat(handle))).toBe('PERMISSION_DENIED');
      expect(await codeOf(backend.put(handle, [utf8('x')]))).toBe('PERMISSION_DENIED');
      expect(await codeOf(backend.remove(handle))).toBe('PERMISSION_DENIED');
      expect(await codeOf(backend.create())).toBe('PERMISSION_DENIED');
      expect(await codeOf(listAll(backend, 'snapshot'))).toBe('PERMISSION_DENIED');
      expect(await codeOf(listAll(backend, 'pack'))).toBe('PERMISSION_DENIED');
    } finally {
      process.seteuid?.(0);
    }
    expect(await backend.get(handle)).toEqual(utf8('x'));
  });
});

const childFile = fileURLToPath(new URL('../fixtures/local-child.mjs', import.meta.url));

interface ChildEnd {
  /** What each call of the child came to: `done` or an error code. Absent if it was killed. */
  readonly results: readonly string[] | undefined;
  /** The system calls that strace saw. */
  readonly trace: string;
}

/** Runs puts in another process, under strace if it is given options, or in a shell after `limits`. */
function runChild(
  calls: readonly string[],
  options: { strace?: string[]; limits?: string },
): ChildEnd {
  const node = [process.execPath, childFile, root, ...calls];
  const traceFile = path.join(folder.path, 'trace');
  const strace = ['strace', '-f', '-qq', '-o', traceFile, ...(options.strace ?? [])];
  const shell = ['sh', '-c', `${options.limits}; exec "$@"`, 'sh'];
  const [command = '', ...rest] = [...(options.limits ? shell : strace), ...node];
  const end = spawnSync(command, rest, {
    encoding: 'utf8',
    timeout: 30_000,
    // One thread for files: strace counts the calls of each thread by itself.
    env: { ...process.env, ...(options.strace && { UV_THREADPOOL_SIZE: '1' }) },
  });
  expect(end.stderr).toBe('');
  const results: string[] | undefined = end.stdout === '' ? undefined : JSON.parse(end.stdout);
  return { results, trace: options.limits ? '' : readFileSync(traceFile, 'utf8') };
}

test('many calls get by with few open files', async () => {
  const calls = Array.from({ length: 300 }, (_, i) => `put-meanwhile pack ${i}`);
  await (await open()).create();
  const { results } = runChild(calls, { limits: 'ulimit -n 48' });
  expect(new Set(results)).toEqual(new Set(['done']));
  expect(filesBelow()).toHaveLength(300);
});

function temporariesOpened(trace: string): number {
  return trace.split('\n').filter((line) => /openat.*-tmp-\d+".*O_EXCL/.test(line)).length;
}

async function expectWhole(): Promise<void> {
  expect(filesBelow().map((file) => path.basename(file))).toEqual([handleFor('index', 'x').name]);
  expect(await (await open()).get(handleFor('index', 'x'))).toEqual(utf8('content of x'));
}

describeWith(['strace'], 'with failing system calls', () => {
  const put = 'put index x';
  const calls = 'trace=openat,pwritev,fsync,link,rename,unlink,chmod,fchmod';

  beforeEach(async () => await (await open()).create());

  test('syncs file, name and folder in this order', async () => {
    const { results, trace } = runChild([put], { strace: ['-e', calls] });
    expect(results).toEqual(['done']);
    const steps = trace
      .split('\n')
      .filter((line) => line.includes(root) || /\b(fsync|pwritev)\(/.test(line))
      .map((line) => /(\w+)\(/.exec(line)?.[1])
      .filter((step) => step !== undefined && !step.endsWith('stat'));
    expect(steps).toEqual([
      'openat',
      'pwritev',
      'fsync',
      'link',
      'unlink',
      'openat',
      'fsync',
      'chmod',
    ]);
    await expectWhole();
  });

  test.each([
    ['fsync of the file', 'fsync:error=EIO:when=1', 'BACKEND_WRITE_FAILED'],
    ['fsync of the folder', 'fsync:error=EIO:when=2', 'BACKEND_WRITE_FAILED'],
    ['write', 'pwritev:error=ENOSPC:when=1', 'STORAGE_FULL'],
    ['write', 'pwritev:error=EDQUOT:when=1', 'STORAGE_FULL'],
    ['write', 'pwritev:error=EIO:when=1', 'BACKEND_WRITE_FAILED'],
    ['link', 'link:error=EIO:when=1', 'BACKEND_WRITE_FAILED'],
    ['link', 'link:error=EACCES:when=1', 'PERMISSION_DENIED'],
  ])('a failed %s (%s) leaves nothing, and the next try is a new file', async (_, what, code) => {
    const { results, trace } = runChild([put, 'list index', put], {
      strace: ['-e', calls, '-e', `inject=${what}`],
    });
    expect(results).toEqual([code, '0', 'done']);
    expect(temporariesOpened(trace)).toBe(2);
    await expectWhole();
  });

  test.each([
    ['fsync cannot be done there', 'fsync:error=EINVAL:when=2'],
    ['the mode cannot be changed', 'chmod:error=EPERM'],
    ['the temporary name cannot be removed', 'unlink:error=EIO'],
  ])('is done although %s', async (_, what) => {
    const { results } = runChild([put], { strace: ['-e', calls, '-e', `inject=${what}`] });
    expect(results).toEqual(['done']);
    expect(await (await open()).get(handleFor('index', 'x'))).toEqual(utf8('content of x'));
    expect(await listAll(await open(), 'index')).toHaveLength(1);
  });

  test('does without hard links, and still never overwrites', async () => {
    const { results } = runChild([put, put], {
      strace: ['-e', calls, '-e', 'inject=link:error=EPERM'],
    });
    expect(results).toEqual(['done', 'FILE_EXISTS']);
    await expectWhole();
  });

  test.each([
    ['pwritev', 1, 'absent'],
    ['fsync', 1, 'absent'],
    ['link', 1, 'absent'],
    ['unlink', 1, 'whole'],
    ['fsync', 2, 'whole'],
    ['chmod', 1, 'whole'],
  ] as const)('killed at %s number %d, a put has left the file %s', async (call, when, left) => {
    const { results } = runChild([put], {
      strace: ['-e', calls, '-e', `inject=${call}:signal=KILL:when=${when}`],
    });
    expect(results).toBeUndefined();
    const backend = await open();
    const handle = handleFor('index', 'x');
    expect(await listAll(backend, 'index')).toHaveLength(left === 'whole' ? 1 : 0);
    const again = backend.put(handle, [utf8('content of x')]);
    if (left === 'whole') expect(await codeOf(again)).toBe('FILE_EXISTS');
    else await again;
    expect(await backend.get(handle)).toEqual(utf8('content of x'));
    const later = testEnvironment();
    later.clock.nowMs = Date.parse('2100-01-01');
    const cleaner = await LocalBackend.open(root, { environment: later });
    await cleaner.removeLeftovers();
    await expectWhole();
  });

  test('a removed index file stays removed: its folder is synced', async () => {
    await (await open()).put(handleFor('index', 'x'), [utf8('content of x')]);
    const { results, trace } = runChild(['remove index x'], { strace: ['-e', calls] });
    expect(results).toEqual(['done']);
    expect(trace.match(/\b(unlink|fsync)\(/g)).toEqual(['unlink(', 'fsync(']);
  });

  test('a config is replaced, or there is the old one, though its folder cannot be synced', async () => {
    const config = { type: 'config', name: '' } as const;
    await (await open()).put(config, [utf8('content of old')]);
    for (const when of [1, 2]) {
      const { results } = runChild(['replace config new'], {
        strace: ['-e', calls, '-e', `inject=fsync:error=ENOSPC:when=${when}`],
      });
      expect(results).toEqual(['STORAGE_FULL']);
      const left = when === 1 ? 'content of old' : 'content of new';
      expect(await (await open()).get(config)).toEqual(utf8(left));
    }
    expect(filesBelow()).toEqual(['config']);
  });

  test('of two configs one is stored, also without hard links', async () => {
    const { results, trace } = runChild(['put config x', 'put config y'], {
      strace: ['-e', calls, '-e', 'inject=link:error=EPERM'],
    });
    expect(results).toEqual(['done', 'FILE_EXISTS']);
    expect(trace).toMatch(/openat\(AT_FDCWD, "[^"]*\/config", [^)]*O_EXCL/);
    expect(await (await open()).get({ type: 'config', name: '' })).toEqual(utf8('content of x'));
    expect(filesBelow()).toEqual(['config']);
  });

  test('a file that a failed try has removed is gone for good when the next finds nothing', async () => {
    await (await open()).put(handleFor('index', 'x'), [utf8('content of x')]);
    const { results, trace } = runChild(['remove index x', 'remove index x'], {
      strace: ['-e', calls, '-e', 'inject=fsync:error=EIO:when=1'],
    });
    expect(results).toEqual(['BACKEND_WRITE_FAILED', 'FILE_NOT_FOUND']);
    expect(trace.match(/\b(unlink|fsync)\(/g)).toEqual(['unlink(', 'fsync(', 'unlink(', 'fsync(']);
  });
});
