import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  openSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  inodeFlag,
  readExtendedAttributes,
  readExtendedAttributesAt,
  readInodeFlags,
  removeExtendedAttribute,
  setExtendedAttribute,
  setInodeFlags,
  setMode,
  setOwner,
  setTimes,
} from './attributes.ts';
import { closeFile, openFile, unlinkAt } from './files.ts';
import { b, describeSystems, latin, type Scratch } from './fixtures/both-systems.ts';
import { readStatusAt } from './status.ts';

const isRoot = process.getuid?.() === 0;
const hasJudges = ['getfattr', 'setfacl'].every((program) => isInstalled(program));

/** A file on tmpfs, which takes large attributes where ext4 does not. */
const roomyPath = `/dev/shm/holdfast-attributes-test-${process.pid}`;
let roomy = -1;
beforeEach(() => {
  roomy = openSync(roomyPath, 'w');
});
afterEach(() => {
  closeFile(roomy);
  unlinkSync(roomyPath);
});

describeSystems('extended attributes', attributesSuite, { onDisk: true });

function attributesSuite(scratch: Scratch): void {
  const at = (name: string): { directory: number; name: Buffer } => ({
    directory: scratch.directory,
    name: b(name),
  });

  it('says so where there are none', () => {
    if (!scratch.isPortable) return;
    writeFileSync(scratch.at('f'), '');
    expect(readExtendedAttributesAt(scratch.directory, b('f'))).toEqual([]);
    expect(() => setExtendedAttribute(at('f'), { name: b('user.a'), value: b('1') })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }),
    );
    expect(() => removeExtendedAttribute(at('f'), b('user.a'))).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }),
    );
  });

  it('sets, reads and removes on names, descriptors and paths', () => {
    if (scratch.isPortable) return;
    writeFileSync(scratch.at('f'), '');
    const file = openSync(scratch.at('f'), 'r');
    expect(readExtendedAttributesAt(scratch.directory, b('f'))).toEqual([]);
    setExtendedAttribute(at('f'), { name: b('user.a'), value: b('1') });
    setExtendedAttribute(file, { name: b('user.b'), value: new Uint8Array() });
    const expected = ['user.a=1', 'user.b='];
    expect(shown(readExtendedAttributesAt(scratch.directory, b('f'))).toSorted()).toEqual(expected);
    expect(shown(readExtendedAttributes(file)).toSorted()).toEqual(expected);
    expect(shown(readExtendedAttributes(scratch.bytesAt('f'))).toSorted()).toEqual(expected);
    setExtendedAttribute(file, { name: b('user.a'), value: b('2') });
    removeExtendedAttribute(at('f'), b('user.b'));
    expect(shown(readExtendedAttributes(file))).toEqual(['user.a=2']);
    removeExtendedAttribute(file, b('user.a'));
    expect(readExtendedAttributes(file)).toEqual([]);
    expect(() => removeExtendedAttribute(file, b('user.a'))).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ code: 'ENODATA' }) }),
    );
    closeFile(file);
  });

  it('keeps names and values of any bytes, up to 64 KiB', () => {
    if (scratch.isPortable) return;
    const sizes = [0, 1, 255, 256, 257, 4096, 65_535, 65_536];
    for (const size of sizes) {
      const value = Uint8Array.from({ length: size }, (_, i) => i & 0xff);
      setExtendedAttribute(roomy, { name: Buffer.from(`user.\xff\xfe${size}`, 'latin1'), value });
    }
    const read = readExtendedAttributes(roomy);
    expect(read.map(({ value }) => value.length).toSorted((a, c) => a - c)).toEqual(sizes);
    for (const { name, value } of read) {
      expect(latin(name)).toBe(`user.\xff\xfe${value.length}`);
      expect(value.every((byte, i) => byte === (i & 0xff))).toBe(true);
    }
    expect(() =>
      setExtendedAttribute(roomy, { name: b('user.c'), value: new Uint8Array(65_537) }),
    ).toThrow(expect.objectContaining({ details: expect.objectContaining({ code: 'E2BIG' }) }));
  });

  it('reads 200 names in the kernel’s order', () => {
    if (scratch.isPortable) return;
    const names = Array.from({ length: 200 }, (_, i) => `user.${`${i}`.padStart(100, 'n')}`);
    for (const name of names) setExtendedAttribute(roomy, { name: b(name), value: b('x') });
    const read = readExtendedAttributes(roomy).map(({ name }) => latin(name));
    expect(read.toSorted()).toEqual(names.toSorted());
    if (!hasJudges) return;
    const listed = execFileSync('getfattr', ['--absolute-names', roomyPath], { encoding: 'utf8' });
    expect(
      listed
        .split('\n')
        .filter((line) => line.startsWith('user.'))
        .toSorted(),
    ).toEqual(names.toSorted());
  });

  it.skipIf(!isRoot)('belongs to the link itself (needs root)', () => {
    if (scratch.isPortable) return;
    writeFileSync(scratch.at('f'), '');
    symlinkSync('f', scratch.at('link'));
    setExtendedAttribute(at('link'), { name: b('trusted.a'), value: b('link') });
    expect(readExtendedAttributesAt(scratch.directory, b('f'))).toEqual([]);
    expect(shown(readExtendedAttributesAt(scratch.directory, b('link')))).toEqual([
      'trusted.a=link',
    ]);
    expect(shown(readExtendedAttributes(scratch.bytesAt('link')))).toEqual(['trusted.a=link']);
    expect(readExtendedAttributes(scratch.bytesAt('link'), { noFollow: false })).toEqual([]);
  });

  it.skipIf(!hasJudges)('carries ACLs over (needs the Debian package acl)', () => {
    if (scratch.isPortable) return;
    for (const name of ['from', 'to']) mkdirSync(scratch.at(name));
    execFileSync('setfacl', ['-m', 'u:1234:rx,d:g:99:rwx', scratch.at('from')]);
    const attributes = readExtendedAttributesAt(scratch.directory, b('from'));
    expect(attributes.map(({ name }) => latin(name)).toSorted()).toEqual([
      'system.posix_acl_access',
      'system.posix_acl_default',
    ]);
    for (const attribute of attributes) setExtendedAttribute(at('to'), attribute);
    const acl = (name: string): string =>
      execFileSync('getfacl', ['-cnpE', scratch.at(name)], { encoding: 'utf8' });
    expect(acl('to')).toBe(acl('from'));
    expect(acl('to')).toContain('user:1234:r-x');
  });

  it('is empty for file systems without them, and throws for what is missing', () => {
    expect(readExtendedAttributes(b('/proc/self/status'))).toEqual([]);
    if (scratch.isPortable) return;
    expect(() => readExtendedAttributesAt(scratch.directory, b('none'))).toThrow(
      expect.objectContaining({ code: 'FILE_NOT_FOUND' }),
    );
  });
}

describeSystems('metadata', metadataSuite, { onDisk: true });

function metadataSuite(scratch: Scratch): void {
  const at = (name: string): { directory: number; name: Buffer } => ({
    directory: scratch.directory,
    name: b(name),
  });

  it.each([
    ['1901', -2_147_483_000, 1],
    ['just before 1970', -2, 500_000_001],
    ['1970', 0, 0],
    ['now', 1_700_000_000, 123_456_789],
    ['after 2038', 4_000_000_000, 999_999_999],
    ['2446, the last of ext4', 15_032_385_534, 7],
  ])('sets times of %s to the nanosecond', (_, seconds, nanoseconds) => {
    writeFileSync(scratch.at('f'), '');
    symlinkSync('f', scratch.at('link'));
    const mtime = { seconds, nanoseconds };
    const atime = { seconds: seconds - 1, nanoseconds: 42 };
    if (scratch.isPortable && seconds <= 0) return;
    setTimes(at('link'), { mtime, atime });
    const file = openFile(at('f'), { write: true });
    setTimes(file, { mtime, atime });
    closeFile(file);
    for (const name of ['f', 'link']) {
      const status = readStatusAt(scratch.directory, b(name));
      if (scratch.isPortable) {
        const error =
          status.mtime.seconds - seconds + (status.mtime.nanoseconds - nanoseconds) / 1e9;
        expect(Math.abs(error)).toBeLessThan(1e-5);
      } else {
        expect({ mtime: status.mtime, atime: status.atime }).toEqual({ mtime, atime });
      }
    }
  });

  it('leaves the time that is not named', () => {
    writeFileSync(scratch.at('f'), '');
    setTimes(at('f'), {
      mtime: { seconds: 1000, nanoseconds: 0 },
      atime: { seconds: 2000, nanoseconds: 0 },
    });
    setTimes(at('f'), { mtime: { seconds: 3000, nanoseconds: 0 } });
    const status = readStatusAt(scratch.directory, b('f'));
    expect([status.mtime.seconds, status.atime.seconds]).toEqual([3000, 2000]);
  });

  it('sets all permission bits, never through a link', () => {
    writeFileSync(scratch.at('f'), '');
    symlinkSync('f', scratch.at('link'));
    setMode(at('f'), 0o7777);
    expect(statSync(scratch.at('f')).mode & 0o7777).toBe(0o7777);
    const file = openFile(at('f'));
    setMode(file, 0o100640);
    closeFile(file);
    expect(statSync(scratch.at('f')).mode & 0o7777).toBe(0o640);
    expect(() => setMode(at('link'), 0o777)).toThrow(
      expect.objectContaining({ code: 'SYSTEM_CALL_FAILED' }),
    );
    expect(statSync(scratch.at('f')).mode & 0o7777).toBe(0o640);
    expect(() => setMode(at('none'), 0o777)).toThrow(
      expect.objectContaining({ code: 'FILE_NOT_FOUND' }),
    );
  });

  it('sets the mode of what cannot be read', () => {
    writeFileSync(scratch.at('f'), '');
    chmodSync(scratch.at('f'), 0);
    setMode(at('f'), 0o600);
    expect(statSync(scratch.at('f')).mode & 0o7777).toBe(0o600);
  });

  it.skipIf(!isRoot)('sets owners of links themselves (needs root)', () => {
    writeFileSync(scratch.at('f'), '');
    symlinkSync('f', scratch.at('link'));
    setOwner(at('link'), { uid: 4_294_967_294, gid: 12 });
    setOwner(at('link'), { gid: 13 });
    expect(lstatSync(scratch.at('link'))).toMatchObject({ uid: 4_294_967_294, gid: 13 });
    expect(lstatSync(scratch.at('f'))).toMatchObject({ uid: 0, gid: 0 });
    const file = openFile(at('f'));
    setOwner(file, { uid: 1234 });
    closeFile(file);
    expect(lstatSync(scratch.at('f'))).toMatchObject({ uid: 1234, gid: 0 });
    expect(() => setOwner(at('f'), { uid: 4_294_967_295, gid: 0 })).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ code: 'EINVAL' }) }),
    );
  });

  it.skipIf(!isRoot)('reads and sets file flags; immutable files say so (needs root)', () => {
    writeFileSync(scratch.at('f'), 'x');
    const file = openFile(at('f'));
    const before = readInodeFlags(file);
    if (scratch.isPortable || before === undefined) {
      expect(before).toBeUndefined();
      return closeFile(file);
    }
    setInodeFlags(file, before | inodeFlag.immutable);
    try {
      expect(readInodeFlags(file)).toBe(before | inodeFlag.immutable);
      for (const call of [
        () => openFile(at('f'), { write: true }),
        () => unlinkAt(scratch.directory, b('f')),
        () => setMode(at('f'), 0o777),
        () => setTimes(at('f'), { mtime: { seconds: 1, nanoseconds: 0 } }),
        () => setOwner(at('f'), { uid: 1 }),
        () => setExtendedAttribute(at('f'), { name: b('user.a'), value: b('x') }),
      ]) {
        expect(call).toThrow(expect.objectContaining({ code: 'PERMISSION_DENIED' }));
      }
    } finally {
      setInodeFlags(file, before);
      closeFile(file);
    }
  });
}

function shown(attributes: readonly { name: Uint8Array; value: Uint8Array }[]): string[] {
  return attributes.map(({ name, value }) => `${latin(name)}=${latin(value)}`);
}

function isInstalled(program: string): boolean {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
