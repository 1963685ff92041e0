import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { closeFile } from '../platform/files.ts';
import { readStatus } from '../platform/status.ts';
import { openListed } from './open-listed.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-open-listed-'));
  mkdirSync(join(folder, 'd'));
  mkdirSync(join(folder, 'elsewhere'));
  writeFileSync(join(folder, 'd/f'), 'listed');
  writeFileSync(join(folder, 'elsewhere/f'), 'secret');
});
afterEach(() => rmSync(folder, { recursive: true }));

const replaced = 'a source was replaced by something else';

function listed(): Parameters<typeof openListed>[0] {
  const path = Buffer.from(join(folder, 'd/f'));
  const { device, inode } = readStatus(path);
  const directory = readStatus(Buffer.from(join(folder, 'd')));
  return { path, device, inode, directory };
}

test('opens the listed file', () => {
  const { fd, status } = openListed(listed());
  expect(status.inode).toBe(statSync(join(folder, 'd/f')).ino);
  expect(readFileSync(fd, 'utf8')).toBe('listed');
  closeFile(fd);
});

test('takes a file that was replaced by renaming', () => {
  const request = listed();
  writeFileSync(join(folder, 'd/new'), 'edited');
  renameSync(join(folder, 'd/new'), join(folder, 'd/f'));
  const { fd } = openListed(request);
  expect(readFileSync(fd, 'utf8')).toBe('edited');
  closeFile(fd);
});

test('refuses a file of another directory that took the place of the listed one', () => {
  const request = listed();
  renameSync(join(folder, 'd'), join(folder, 'moved'));
  symlinkSync('elsewhere', join(folder, 'd'));
  expect(() => openListed(request)).toThrow(replaced);
  rmSync(join(folder, 'd'));
  writeFileSync(join(folder, 'd'), 'a file');
  expect(() => openListed(request)).toThrow(replaced);
  rmSync(join(folder, 'd'));
  renameSync(join(folder, 'elsewhere'), join(folder, 'd'));
  expect(() => openListed(request)).toThrow('its directory was replaced');
});

test('refuses a link in place of the replaced file', () => {
  const request = listed();
  rmSync(join(folder, 'd/f'));
  symlinkSync('../elsewhere/f', join(folder, 'd/f'));
  expect(() => openListed(request)).toThrow(replaced);
});
