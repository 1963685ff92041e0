import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isHoldfastError } from '../base/errors.ts';
import { closeFile, readAt } from '../platform/files.ts';
import { readStatus } from '../platform/status.ts';
import { type OpenRequest, openSourceFile } from './open-file.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'holdfast-open-file-'));
  file = path.join(folder, 'file');
  writeFileSync(file, 'content');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function requestFor(name: string): OpenRequest {
  const { device, inode } = readStatus(Buffer.from(name));
  return { path: Buffer.from(name), device, inode };
}

it('opens the file that was listed', () => {
  const { fd, status } = openSourceFile(requestFor(file));
  const bytes = Buffer.alloc(7);
  expect(readAt(fd, bytes, 0)).toBe(7);
  expect(bytes.toString()).toBe('content');
  expect(status).toMatchObject({ kind: 'file', sizeBytes: 7 });
  closeFile(fd);
});

it('refuses everything else, at once (hazard C3)', () => {
  const request = requestFor(file);
  writeFileSync(path.join(folder, 'other'), 'secret');
  const replacements = [
    () => symlinkSync('other', file),
    () => spawnSync('mkfifo', [file]),
    () => mkdirSync(file),
    () => writeFileSync(file, 'another'),
  ];
  for (const replace of replacements) {
    renameSync(file, path.join(folder, 'aside'));
    replace();
    expect(() => openSourceFile(request)).toThrow(
      expect.objectContaining({
        code: 'SOURCE_FAILED',
        details: { path: file, reason: 'replaced' },
      }),
    );
    rmSync(file, { recursive: true });
    renameSync(path.join(folder, 'aside'), file);
  }
});

it('takes another regular file if that is asked for', () => {
  const request = requestFor(file);
  renameSync(file, path.join(folder, 'aside'));
  writeFileSync(file, 'new and longer');
  const { fd, status } = openSourceFile(request, { acceptReplaced: true });
  expect(status).toEqual(readStatus(Buffer.from(file)));
  expect(status.inode).not.toBe(request.inode);
  closeFile(fd);
  rmSync(file);
  mkdirSync(file);
  expect(() => openSourceFile(request, { acceptReplaced: true })).toThrow('replaced');
});

it('tells what is gone', () => {
  const request = requestFor(file);
  rmSync(file);
  expect(() => openSourceFile(request)).toThrow(
    expect.objectContaining({ code: 'FILE_NOT_FOUND' }),
  );
});

it('never follows while another process swaps the name', async () => {
  writeFileSync(path.join(folder, 'secret'), 'secret');
  const request = requestFor(file);
  const script = `cd "$1"; while :; do
    ln -s secret l && mv -T l file; mkfifo p && mv -T p file; printf content > c && mv -T c file; done`;
  const racer = spawn('sh', ['-c', script, 'sh', folder], { stdio: 'ignore', detached: true });
  const ended = new Promise((resolve) => racer.once('exit', resolve));
  const outcomes = new Set<string>();
  const start = performance.now();
  while (performance.now() - start < 1500) {
    try {
      const { fd } = openSourceFile(request, { acceptReplaced: true });
      const bytes = Buffer.alloc(10);
      const count = readAt(fd, bytes, 0);
      outcomes.add(bytes.toString('latin1', 0, count));
      closeFile(fd);
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      outcomes.add(error.code);
    }
  }
  // The whole group: what the shell has started would go on in a folder that is gone.
  if (racer.pid !== undefined) process.kill(-racer.pid, 'SIGKILL');
  await ended;
  expect([...outcomes].toSorted()).toEqual(['SOURCE_FAILED', 'content']);
});
