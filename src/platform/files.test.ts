import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { expect, it } from 'vitest';
import { makeDevice } from './device.ts';
import { openDirectory, openDirectoryAt } from './directory.ts';
import {
  closeFile,
  linkAt,
  lockFile,
  makeDirectoryAt,
  makeNodeAt,
  openFile,
  readAt,
  readFileAtOnce,
  readLink,
  readLinkAt,
  renameAt,
  symlinkAt,
  syncFile,
  syncFileSystem,
  truncateFile,
  unlinkAt,
  writeAt,
} from './files.ts';
import { b, describeSystems, latin } from './fixtures/both-systems.ts';
import { packStatus, statusFields } from './packed-scan.ts';
import { readStatusAt, readStatusOf } from './status.ts';

const isRoot = process.getuid?.() === 0;

describeSystems('files', (scratch) => {
  it('writes and reads at positions', () => {
    const place = { directory: scratch.directory, name: Buffer.from([0x66, 0xff]) };
    const file = openFile(place, { write: true, create: true, exclusive: true, mode: 0o640 });
    writeAt(file, b('world'), 6);
    writeAt(file, b('hello '), 0);
    const target = Buffer.alloc(16);
    expect(readAt(file, target, 0)).toBe(11);
    expect(latin(target.subarray(0, 11))).toBe('hello world');
    expect(readAt(file, target, 11)).toBe(0);
    expect(readAt(file, target.subarray(0, 3))).toBe(3);
    expect(readAt(file, target.subarray(0, 3))).toBe(3);
    expect(latin(target.subarray(0, 3))).toBe('lo ');
    truncateFile(file, 5);
    syncFile(file);
    expect(syncFileSystem(file)).toBe(!scratch.isPortable);
    expect(readStatusOf(file)).toMatchObject({ sizeBytes: 5, mode: 0o640 & ~process.umask() });
    closeFile(file);
    expect(readFileSync(scratch.bytesAt(place.name), 'utf8')).toBe('hello');
  });

  it('reads a file at once, with the status behind the read', () => {
    const target = new Uint8Array(64).fill(0xee);
    const status = new Float64Array(statusFields);
    const expected = new Float64Array(statusFields);
    const read = (name: string, sizeBytes: number): number =>
      readFileAtOnce(scratch.bytesAt(name), { target, sizeBytes, status });
    writeFileSync(scratch.at('file'), 'hello world');
    expect(read('file', 12)).toBe(11);
    packStatus(readStatusAt(scratch.directory, b('file')), expected, 0);
    // But for the access time, which the portable calls may change.
    expect(status.with(12, 0).with(13, 0)).toEqual(expected.with(12, 0).with(13, 0));
    expect(read('file', 5)).toBe(5);
    expect(latin(target.subarray(0, 12))).toBe('hello world\xee');
    symlinkSync('file', scratch.at('link'));
    execFileSync('mkfifo', [scratch.at('fifo')]);
    mkdirSync(scratch.at('folder'));
    const before = readdirSync('/proc/self/fd').length;
    for (const name of ['missing', 'link', 'folder', 'fifo']) expect(read(name, 12)).toBe(-1);
    expect(read('x'.repeat(5_000), 12)).toBe(-1);
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
    expect(() =>
      readFileAtOnce(scratch.bytesAt('file'), { target, sizeBytes: 65, status }),
    ).toThrow('what is read fits its room');
  });

  it('locks a directory until it is closed', () => {
    const [held, other] = [
      openDirectory(scratch.bytesAt('.')),
      openDirectory(scratch.bytesAt('.')),
    ];
    expect(lockFile(held)).toBe(true);
    expect(lockFile(other)).toBe(scratch.isPortable);
    closeFile(held);
    expect(lockFile(other)).toBe(true);
    closeFile(other);
  });

  it('reads into shared memory', () => {
    writeFileSync(scratch.at('f'), 'hello');
    const file = openFile(scratch.bytesAt('f'));
    const targets = [
      new Uint8Array(new ArrayBuffer(1 << 20), 100, 5),
      new Uint8Array(new SharedArrayBuffer(64), 3, 5),
      new Uint8Array(5),
    ];
    for (const target of targets) {
      expect(readAt(file, target, 0)).toBe(5);
      expect(latin(target)).toBe('hello');
    }
    closeFile(file);
  });

  it('does not create, replace or follow unless told to', () => {
    writeFileSync(scratch.at('f'), 'x');
    symlinkSync('f', scratch.at('link'));
    symlinkSync('new', scratch.at('dangling'));
    const open = (name: string, options: object) => () =>
      openFile({ directory: scratch.directory, name: b(name) }, options);
    expect(open('none', {})).toThrow(expect.objectContaining({ code: 'FILE_NOT_FOUND' }));
    expect(open('f', { write: true, create: true, exclusive: true })).toThrow(
      expect.objectContaining({ code: 'FILE_EXISTS' }),
    );
    expect(open('link', {})).toThrow(
      expect.objectContaining({ cause: expect.objectContaining({ code: 'ELOOP' }) }),
    );
    expect(open('dangling', { write: true, create: true })).toThrow();
    expect(existsSync(scratch.at('new'))).toBe(false);
    closeFile(open('link', { noFollow: false })());
  });

  it('never waits for a FIFO', () => {
    execFileSync('mkfifo', [scratch.at('fifo')]);
    const file = openFile({ directory: scratch.directory, name: b('fifo') });
    expect(readStatusOf(file).kind).toBe('fifo');
    closeFile(file);
  });

  it('leaves the access time of what it reads', () => {
    writeFileSync(scratch.at('f'), 'hello');
    utimesSync(scratch.at('f'), 1000, 2000);
    const file = openFile(scratch.bytesAt('f'));
    readAt(file, Buffer.alloc(10));
    closeFile(file);
    if (isRoot) expect(statSync(scratch.at('f')).atimeMs).toBe(1000_000);
  });

  it('tells what a read of a directory or a closed descriptor fails with', () => {
    expect(() => readAt(scratch.directory, Buffer.alloc(1), 0)).toThrow(
      expect.objectContaining({
        code: 'SYSTEM_CALL_FAILED',
        cause: expect.objectContaining({ code: 'EISDIR' }),
      }),
    );
    expect(() => closeFile(99_999)).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ code: 'EBADF' }) }),
    );
  });

  it('makes, renames and removes', () => {
    const { directory } = scratch;
    const at = (name: string): { directory: number; name: Buffer } => ({
      directory,
      name: b(name),
    });
    makeDirectoryAt(directory, b('d'), 0o750);
    expect(statSync(scratch.at('d')).mode & 0o777).toBe(0o750 & ~process.umask());
    const below = openDirectoryAt(directory, b('d'));
    symlinkAt(below, b('link'), Buffer.from([0x2e, 0x2e, 0x2f, 0xff]));
    expect(latin(readLinkAt(below, b('link')))).toBe('../\xff');
    expect(latin(readLink(scratch.bytesAt('d/link')))).toBe('../\xff');
    linkAt({ directory: below, name: b('link') }, at('link2'));
    expect(lstatSync(scratch.at('link2')).nlink).toBe(2);
    writeFileSync(scratch.at('a'), 'a');
    writeFileSync(scratch.at('b'), 'b');
    expect(() => renameAt(at('a'), at('b'), { replace: false })).toThrow(
      expect.objectContaining({ code: 'FILE_EXISTS' }),
    );
    renameAt(at('a'), at('b'));
    expect(readFileSync(scratch.at('b'), 'utf8')).toBe('a');
    renameAt(at('b'), { directory: below, name: b('c') }, { replace: false });
    expect(() => unlinkAt(directory, b('d'), { directory: true })).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ code: 'ENOTEMPTY' }) }),
    );
    expect(() => unlinkAt(directory, b('d'))).toThrow();
    unlinkAt(below, b('c'));
    unlinkAt(below, b('link'));
    closeFile(below);
    unlinkAt(directory, b('d'), { directory: true });
    expect(readdirSync(scratch.path)).toEqual(['link2']);
    expect(() => unlinkAt(directory, b('none'))).toThrow(
      expect.objectContaining({ code: 'FILE_NOT_FOUND' }),
    );
    expect(() => makeDirectoryAt(directory, b('link2'))).toThrow(
      expect.objectContaining({ code: 'FILE_EXISTS' }),
    );
  });

  it('keeps link targets of 4,095 bytes whole', () => {
    symlinkAt(scratch.directory, b('long'), Buffer.alloc(4095, 0x61));
    expect(readLinkAt(scratch.directory, b('long'))).toHaveLength(4095);
    expect(() => readLink(scratch.bytesAt(''))).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ code: 'EINVAL' }) }),
    );
  });

  it('refuses every name that could leave the directory', () => {
    const { directory } = scratch;
    const good = { directory, name: b('good') };
    for (const name of ['', '.', '..', 'a/b', '/tmp', 'a\0b'].map(b)) {
      const bad = { directory, name };
      for (const call of [
        () => openFile(bad, { write: true, create: true }),
        () => makeDirectoryAt(directory, name),
        () => symlinkAt(directory, name, b('x')),
        () => linkAt(good, bad),
        () => linkAt(bad, good),
        () => renameAt(good, bad),
        () => renameAt(bad, good),
        () => unlinkAt(directory, name),
        () => makeNodeAt(directory, name, { kind: 'file', mode: 0o600 }),
        () => readLinkAt(directory, name),
        () => openDirectoryAt(directory, name),
      ]) {
        expect(call).toThrow(expect.objectContaining({ code: 'ASSERTION_FAILED' }));
      }
    }
    expect(readdirSync(scratch.path)).toEqual([]);
  });

  it('writes below the opened directory though its path leads elsewhere now (D5)', () => {
    mkdirSync(scratch.at('real'));
    mkdirSync(scratch.at('elsewhere'));
    const opened = openDirectoryAt(scratch.directory, b('real'));
    renameSync(scratch.at('real'), scratch.at('moved'));
    symlinkSync('elsewhere', scratch.at('real'));
    closeFile(openFile({ directory: opened, name: b('f') }, { write: true, create: true }));
    makeDirectoryAt(opened, b('d'));
    closeFile(opened);
    expect(readdirSync(scratch.at('moved'))).toEqual(['d', 'f']);
    expect(readdirSync(scratch.at('elsewhere'))).toEqual([]);
  });

  it('makes nodes', () => {
    const { directory } = scratch;
    makeNodeAt(directory, b('file'), { kind: 'file', mode: 0o600 });
    expect(readStatusAt(directory, b('file'))).toMatchObject({ kind: 'file', sizeBytes: 0 });
    if (scratch.isPortable) {
      expect(() => makeNodeAt(directory, b('fifo'), { kind: 'fifo', mode: 0o600 })).toThrow(
        expect.objectContaining({ code: 'UNSUPPORTED' }),
      );
      return;
    }
    makeNodeAt(directory, b('fifo'), { kind: 'fifo', mode: 0o600 });
    makeNodeAt(directory, b('socket'), { kind: 'socket', mode: 0o600 });
    expect(readStatusAt(directory, b('fifo'))).toMatchObject({ kind: 'fifo', mode: 0o600 });
    expect(readStatusAt(directory, b('socket')).kind).toBe('socket');
  });

  it.skipIf(!isRoot)('makes devices of any number (needs root)', () => {
    if (scratch.isPortable) return;
    const devices = [
      { kind: 'character', rdev: makeDevice(0, 0) },
      { kind: 'character', rdev: makeDevice(1, 3) },
      { kind: 'block', rdev: makeDevice(259, 300) },
      { kind: 'block', rdev: makeDevice(0xfff, 0xfffff) },
    ] as const;
    for (const [i, device] of devices.entries()) {
      makeNodeAt(scratch.directory, b(`${i}`), { ...device, mode: 0o600 });
      expect(readStatusAt(scratch.directory, b(`${i}`))).toMatchObject(device);
    }
    const shown = execFileSync('stat', ['-c', '%t:%T', scratch.at('2'), scratch.at('3')], {
      encoding: 'utf8',
    });
    expect(shown).toBe('103:12c\nfff:fffff\n');
  });

  it.skipIf(!isRoot)('links an opened file that has lost its name (needs root)', () => {
    if (scratch.isPortable) return;
    const file = openFile(scratch.bytesAt('f'), { write: true, create: true });
    writeAt(file, b('kept'));
    linkAt(file, { directory: scratch.directory, name: b('g') });
    closeFile(file);
    expect(readFileSync(scratch.at('g'), 'utf8')).toBe('kept');
  });

  it('names the path and the reason when storage refuses', () => {
    expect(() => openFile(b('/proc/none'), { write: true, create: true })).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ path: '/proc/none' }) }),
    );
    const full = openFile(b('/dev/full'), { write: true });
    expect(() => writeAt(full, b('x'))).toThrow(expect.objectContaining({ code: 'STORAGE_FULL' }));
    closeFile(full);
    chmodSync(scratch.path, 0o700);
  });
});
