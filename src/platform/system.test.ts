import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { setExtendedAttribute } from './attributes.ts';
import { openDirectory, scanDirectory } from './directory.ts';
import { closeFile, openFile, readAt, writeFileAtomic } from './files.ts';
import { b } from './fixtures/both-systems.ts';
import { readStatusOf } from './status.ts';
import { fromNodeError, posixCode } from './system-error.ts';
import { platformLosses, system } from './system.ts';

const isRoot = process.getuid?.() === 0;

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-system-'));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

describe('system', () => {
  it.runIf(process.platform === 'linux')('is libc on Linux, and loses nothing', () => {
    expect(system().kind).toBe('linux');
    expect(platformLosses()).toEqual({ backup: [], restore: [] });
  });

  it('shares descriptors between threads', async () => {
    writeFileSync(join(root, 'f'), 'hello');
    const file = openFile(b(join(root, 'f')));
    const worker = new Worker(new URL('./fixtures/thread.ts', import.meta.url), {
      workerData: file,
    });
    const message = await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    expect(message).toEqual({ text: 'hello', status: readStatusOf(file) });
    await worker.terminate();
    closeFile(file);
  });

  it('leaks no descriptor over hundreds of calls, failed ones included', () => {
    const directory = openDirectory(b(root));
    const before = openCount();
    for (let i = 0; i < 500; i++) {
      writeFileAtomic(b(join(root, 'f')), b('x'));
      closeFile(openFile({ directory, name: b('f') }));
      expect(() => openFile({ directory, name: b('none') })).toThrow();
      scanDirectory(directory);
    }
    expect(openCount()).toBe(before);
    closeFile(directory);
  });

  it('gives a clear error when descriptors run out', () => {
    const script = `
      import { openDirectory } from ${JSON.stringify(new URL('./directory.ts', import.meta.url))};
      const opened = [];
      try { for (;;) opened.push(openDirectory(Buffer.from('/'))); }
      catch (error) { console.log(error.code, error.details.code, opened.length > 10); }`;
    const command = 'ulimit -n 60; exec "$0" --input-type=module-typescript -e "$1"';
    const output = execFileSync('sh', ['-c', command, process.execPath, script], {
      encoding: 'utf8',
    });
    expect(output).toBe('SYSTEM_CALL_FAILED EMFILE true\n');
  });
});

describe('system errors', () => {
  it.each([
    ['ENOENT', 'FILE_NOT_FOUND'],
    ['EEXIST', 'FILE_EXISTS'],
    ['EACCES', 'PERMISSION_DENIED'],
    ['EPERM', 'PERMISSION_DENIED'],
    ['ENOSPC', 'STORAGE_FULL'],
    ['EDQUOT', 'STORAGE_FULL'],
    ['EROFS', 'READ_ONLY'],
    ['EIO', 'SYSTEM_CALL_FAILED'],
  ])('turns %s into %s', (posix, code) => {
    const cause = Object.assign(new Error('x'), { code: posix });
    const error = fromNodeError({ call: 'read', place: b('/a\nb') }, cause);
    expect(error).toMatchObject({
      code,
      details: { call: 'read', code: posix, path: '/a\\x0ab' },
      cause,
    });
    expect([posixCode(error), posixCode(cause)]).toEqual([posix, posix]);
    expect(fromNodeError({ call: 'other', place: undefined }, error)).toBe(error);
  });

  it('says UNKNOWN where there is no code', () => {
    expect(fromNodeError({ call: 'read', place: undefined }, 'text').details).toEqual({
      call: 'read',
      code: 'UNKNOWN',
    });
    expect(posixCode('text')).toBeUndefined();
  });

  it('translates what a read fails with', () => {
    expect(() => readAt(99_999, new Uint8Array(1), 0)).toThrow(
      expect.objectContaining({
        details: { call: 'read', code: 'EBADF', path: 'descriptor 99999' },
      }),
    );
  });
});

describe.skipIf(!isRoot)('without privileges (needs root to drop them)', () => {
  beforeEach(() => {
    chmodSync(root, 0o755);
    writeFileSync(join(root, 'readable'), 'x', { mode: 0o644 });
    writeFileSync(join(root, 'secret'), 'x', { mode: 0o600 });
    mkdirSync(join(root, 'closed'));
    writeFileSync(join(root, 'closed', 'inside'), '');
    // Names may be listed, but nothing below may be touched.
    chmodSync(join(root, 'closed'), 0o744);
    const directory = openDirectory(b(root));
    setExtendedAttribute({ directory, name: b('secret') }, { name: b('user.a'), value: b('1') });
    setExtendedAttribute({ directory, name: b('secret') }, { name: b('trusted.b'), value: b('2') });
    closeFile(directory);
  });

  it('says for each entry what is refused', () => {
    expect(run('')).toEqual({
      system: 'linux',
      opened: 'done',
      secret: 'PERMISSION_DENIED',
      owner: 'PERMISSION_DENIED',
      mode: 'PERMISSION_DENIED',
      closed: [['inside', 'PERMISSION_DENIED']],
      scan: ['closed', 'readable', 'secret'],
      attributes: 'PERMISSION_DENIED',
      heard: 0,
      problems: ['secret: PERMISSION_DENIED', 'user.a PERMISSION_DENIED getxattr(user.a)'],
    });
  });

  it('does so with node:fs too, without attributes', () => {
    expect(run('portable')).toMatchObject({
      system: 'portable',
      opened: 'done',
      secret: 'PERMISSION_DENIED',
      owner: 'PERMISSION_DENIED',
      closed: [['inside', 'PERMISSION_DENIED']],
      scan: ['closed', 'readable', 'secret'],
    });
  });
});

function openCount(): number {
  return readdirSync('/proc/self/fd').length;
}

/** What the fixture says when it runs as nobody. */
function run(platform: string): unknown {
  const script = fileURLToPath(new URL('./fixtures/unprivileged.ts', import.meta.url));
  const output = execFileSync(process.execPath, [script, root], {
    uid: 65_534,
    gid: 65_534,
    encoding: 'utf8',
    env: { ...process.env, HOLDFAST_PLATFORM: platform },
  });
  return JSON.parse(output);
}
