import {
  lutimesSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { expect, it } from 'vitest';
import { defined } from '../base/assert.ts';
import { compareBytes } from '../base/bytes.ts';
import { isHoldfastError } from '../base/errors.ts';
import { setExtendedAttribute } from './attributes.ts';
import {
  listDirectory,
  openDirectory,
  openDirectoryAt,
  packDirectory,
  type ScannedEntry,
  scanDirectory,
  scanNames,
  sortNames,
} from './directory.ts';
import { closeFile, makeDirectoryAt } from './files.ts';
import { b, describeSystems, latin } from './fixtures/both-systems.ts';
import { ScanPacker, ScanReader, unpacked } from './packed-scan.ts';
import { tryReadStatus } from './status.ts';

/** Entries with their status as plain objects. */
function plain(entries: readonly ScannedEntry[]): ScannedEntry[] {
  return entries.map(({ status, ...rest }) => ({
    ...rest,
    status: isHoldfastError(status) ? status : unpacked(status),
  }));
}

/** Hazard C9. */
const hostileNames = [
  Buffer.from([0xff, 0xfe, 0x80]),
  b('a\nb'),
  b('a\rb'),
  b('\x1b]0;title\x07'),
  Buffer.alloc(255, 0x78),
  b('\u{1f600}'),
  b('e\u0301'),
  b('\u00e9'),
  b('\u202egnp.exe'),
  b('-rf'),
  b('"quoted\' `x` $(y)'),
  b('back\\slash'),
  b('..foo'),
  b('...'),
  b('trailing '),
  b('trailing.'),
  b('CON'),
  b('a:b'),
  b('Case'),
  b('case'),
  b('\x01'),
  b(' '),
];

describeSystems('directory', (scratch) => {
  it('lists and scans hostile names byte by byte, sorted', () => {
    for (const name of hostileNames) writeFileSync(scratch.bytesAt(name), 'x');
    const expected = hostileNames.toSorted(compareBytes).map(latin);
    expect(listDirectory(scratch.directory).map(latin).toSorted()).toEqual(expected.toSorted());
    const entries = scanDirectory(scratch.directory);
    expect(entries.map((entry) => latin(entry.name))).toEqual(expected);
    for (const { name, status } of entries) {
      expect(status).toEqual(tryReadStatus({ directory: scratch.directory, name }));
    }
  });

  it('packs what it scans', () => {
    for (const name of hostileNames) writeFileSync(scratch.bytesAt(name), 'x');
    symlinkSync('somewhere', scratch.at('link'));
    mkdirSync(scratch.at('below'));
    // Later than all: reading it then leaves its time of access.
    lutimesSync(scratch.at('link'), 4e9, 1e9);
    const status = defined(tryReadStatus(scratch.directory), 'the directory is there');
    const packer = new ScanPacker();
    for (let i = 0; i < 40; i++) {
      expect(packer.begin(status)).toBe(true);
      expect(packDirectory(scratch.directory, packer)).toBe(true);
      if (i % 2 === 0) packer.end();
      else packer.drop();
    }
    const reader = new ScanReader(packer.finish());
    const expected = scanDirectory(scratch.directory, { extendedAttributes: true });
    for (let i = 0; i < 40; i++) {
      const scan = reader.next();
      expect(scan === undefined).toBe(i % 2 !== 0);
      if (!scan) continue;
      expect(scan.status).toEqual(status);
      expect(plain(scan.entries)).toEqual(expected);
      expect([...scan.linkTargets].map(([name, to]) => [latin(name), latin(to)])).toEqual([
        ['link', 'somewhere'],
      ]);
    }
    expect(reader.next()).toBeUndefined();
  });

  it('starts at the beginning each time, also by path', () => {
    writeFileSync(scratch.at('a'), '');
    expect(listDirectory(scratch.directory)).toHaveLength(1);
    expect(listDirectory(scratch.directory)).toHaveLength(1);
    expect(scanDirectory(scratch.directory)).toHaveLength(1);
    expect(listDirectory(scratch.bytesAt('')).map(latin)).toEqual(['a']);
    rmSync(scratch.at('a'));
    expect(scanDirectory(scratch.directory)).toEqual([]);
  });

  it('lists more than one buffer holds', () => {
    const names = Array.from({ length: 1200 }, (_, i) => `${i}`.padStart(250, '0'));
    for (const name of names) symlinkSync('x', scratch.at(name));
    expect(scanDirectory(scratch.directory).map((entry) => latin(entry.name))).toEqual(names);
    expect(listDirectory(scratch.directory)).toHaveLength(1200);
  });

  it('scans the names it is given, in their order, and tells of those that are gone', () => {
    for (const name of ['a', 'b', 'c']) writeFileSync(scratch.at(name), name);
    const vanished: string[] = [];
    const entries = scanNames(scratch.directory, ['c', 'none', 'a'].map(bytesOf), {
      onVanished: (name) => {
        // The room may be used from here.
        vanished.push(latin(name), ...scanDirectory(scratch.directory).map((e) => latin(e.name)));
      },
    });
    expect(entries.map((entry) => latin(entry.name))).toEqual(['c', 'a']);
    expect(vanished).toEqual(['none', 'a', 'b', 'c']);
    expect(() => scanNames(scratch.directory, [bytesOf('../x')])).toThrow(/slash/);
    expect(sortNames(['b', 'a', 'c', 'b'].map(bytesOf)).map(latin)).toEqual(['a', 'b', 'c']);
  });

  it('leaves the access time of a directory', () => {
    utimesSync(scratch.path, 1000, 2000);
    closeFile(openDirectory(scratch.bytesAt('')));
    const directory = openDirectory(scratch.bytesAt(''));
    scanDirectory(directory);
    closeFile(directory);
    if (scratch.isPortable || process.getuid?.() !== 0) return;
    expect(statSync(scratch.path).atimeMs).toBe(1000_000);
  });

  it('refuses a link and a file', () => {
    mkdirSync(scratch.at('real'));
    symlinkSync('real', scratch.at('link'));
    writeFileSync(scratch.at('file'), '');
    for (const name of ['link', 'file']) {
      expect(() => openDirectoryAt(scratch.directory, b(name))).toThrow(
        expect.objectContaining({ code: 'SYSTEM_CALL_FAILED' }),
      );
      expect(() => openDirectory(scratch.bytesAt(name))).toThrow();
    }
    closeFile(openDirectory(scratch.bytesAt('link'), { noFollow: false }));
    expect(() => openDirectory(scratch.bytesAt('none'))).toThrow(
      expect.objectContaining({ code: 'FILE_NOT_FOUND' }),
    );
  });

  it('throws for what is no directory, and leaks nothing', () => {
    const before = openCount();
    expect(() => listDirectory(b('/etc/hostname'))).toThrow();
    expect(() => listDirectory(scratch.bytesAt('none'))).toThrow();
    expect(openCount()).toBe(before);
  });

  it('works 3,000 levels down, where no path reaches', () => {
    let directory = scratch.directory;
    const opened: number[] = [];
    for (let level = 0; level < 3000; level++) {
      makeDirectoryAt(directory, b('directory10'));
      directory = openDirectoryAt(directory, b('directory10'));
      opened.push(directory);
    }
    writeFileSync(`/proc/self/fd/${directory}/end`, 'x');
    expect(scanDirectory(directory).map((entry) => latin(entry.name))).toEqual(['end']);
    for (const file of opened) closeFile(file);
    if (scratch.isPortable) return;
    const path = Buffer.concat([scratch.bytesAt('directory10'), b('/directory10'.repeat(2999))]);
    expect(path.length).toBeGreaterThan(33_000);
    expect(listDirectory(path).map(latin)).toEqual(['end']);
    expect(tryReadStatus(Buffer.concat([path, b('/end')]))?.sizeBytes).toBe(1);
    expect(tryReadStatus(Buffer.concat([path, b('/none')]))).toBeUndefined();
    expect(tryReadStatus(Buffer.concat([b('/none'), path]))).toBeUndefined();
  });

  it('reads attributes on the way', () => {
    writeFileSync(scratch.at('plain'), '');
    writeFileSync(scratch.at('marked'), '');
    if (scratch.isPortable) {
      expect(scanDirectory(scratch.directory, { extendedAttributes: true })[0]).toMatchObject({
        extendedAttributes: [],
      });
      return;
    }
    const attribute = { name: b('user.note'), value: b('value') };
    setExtendedAttribute({ directory: scratch.directory, name: b('marked') }, attribute);
    const attributesOf = (options: object): string[][] =>
      scanDirectory(scratch.directory, options).map((entry) =>
        entry.extendedAttributes.map(({ name, value }) => `${latin(name)}=${latin(value)}`),
      );
    expect(attributesOf({ extendedAttributes: true })).toEqual([['user.note=value'], []]);
    expect(attributesOf({})).toEqual([[], []]);
  });
});

function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(b(text));
}

function openCount(): number {
  return readdirSync('/proc/self/fd').length;
}
