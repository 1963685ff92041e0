import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { expect, it } from 'vitest';
import { closeFile } from './files.ts';
import { b, describeSystems } from './fixtures/both-systems.ts';
import { readStatus, readStatusAt, readStatusOf, tryReadStatus } from './status.ts';

describeSystems('status', (scratch) => {
  it('tells every kind', async () => {
    writeFileSync(scratch.at('file'), 'x');
    mkdirSync(scratch.at('directory'));
    symlinkSync('nowhere', scratch.at('symlink'));
    execFileSync('mkfifo', [scratch.at('fifo')]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(scratch.at('socket'), resolve));
    for (const kind of ['file', 'directory', 'symlink', 'fifo', 'socket']) {
      expect(readStatusAt(scratch.directory, b(kind)).kind).toBe(kind);
    }
    await new Promise((resolve) => server.close(resolve));
    expect(readStatus(b('/dev/null'))).toMatchObject({ kind: 'character', rdev: 0x103 });
  });

  it('agrees with node:fs in every field', () => {
    writeFileSync(scratch.at('f'), 'hello');
    chmodSync(scratch.at('f'), 0o4751);
    linkSync(scratch.at('f'), scratch.at('g'));
    const expected = lstatSync(scratch.at('f'), { bigint: true });
    const status = readStatusAt(scratch.directory, b('f'));
    expect({
      mode: status.mode,
      uid: BigInt(status.uid),
      gid: BigInt(status.gid),
      links: status.links,
      inode: BigInt(status.inode),
      device: BigInt(status.device),
      sizeBytes: status.sizeBytes,
      blocks: BigInt(status.blocks),
      mtime: BigInt(status.mtime.seconds) * 10n ** 9n + BigInt(status.mtime.nanoseconds),
      atime: BigInt(status.atime.seconds) * 10n ** 9n + BigInt(status.atime.nanoseconds),
      ctime: BigInt(status.ctime.seconds) * 10n ** 9n + BigInt(status.ctime.nanoseconds),
    }).toEqual({
      mode: 0o4751,
      uid: expected.uid,
      gid: expected.gid,
      links: 2,
      inode: expected.ino,
      device: expected.dev,
      sizeBytes: 5,
      blocks: expected.blocks,
      mtime: expected.mtimeNs,
      atime: expected.atimeNs,
      ctime: expected.ctimeNs,
    });
    expect(readStatus(scratch.bytesAt('g'))).toEqual(status);
    const file = openSync(scratch.at('f'), 'r');
    expect(readStatusOf(file)).toEqual(status);
    closeFile(file);
  });

  it('follows a link only when told to', () => {
    writeFileSync(scratch.at('f'), 'hello');
    symlinkSync('f', scratch.at('link'));
    expect(readStatus(scratch.bytesAt('link')).kind).toBe('symlink');
    expect(readStatus(scratch.bytesAt('link'), { follow: true }).sizeBytes).toBe(5);
    expect(readStatusAt(scratch.directory, b('link')).kind).toBe('symlink');
  });

  it('says what is missing, or gives undefined', () => {
    writeFileSync(scratch.at('f'), '');
    for (const path of ['none', 'none/below', 'f/below']) {
      expect(tryReadStatus(scratch.bytesAt(path))).toBeUndefined();
    }
    expect(tryReadStatus({ directory: scratch.directory, name: b('none') })).toBeUndefined();
    expect(() => readStatusAt(scratch.directory, b('none'))).toThrow(
      expect.objectContaining({
        code: 'FILE_NOT_FOUND',
        details: expect.objectContaining({ code: 'ENOENT', path: `${scratch.path}/none` }),
        cause: expect.objectContaining({ code: 'ENOENT' }),
      }),
    );
  });

  it('refuses names that leave the directory', () => {
    expect(() => readStatusAt(scratch.directory, b('../x'))).toThrow(/slash/);
    expect(() => tryReadStatus({ directory: scratch.directory, name: b('..') })).toThrow(/neither/);
  });

  it('gives sizes beyond 2^32 exactly', () => {
    const size = 2 ** 43 + 12_345;
    writeFileSync(scratch.at('big'), '');
    truncateSync(scratch.at('big'), size);
    expect(readStatusAt(scratch.directory, b('big')).sizeBytes).toBe(size);
  });
});
