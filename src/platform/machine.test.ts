import { execFileSync, spawn } from 'node:child_process';
import { userInfo } from 'node:os';
import { describe, expect, it } from 'vitest';
import {
  bootId,
  cacheDirectory,
  currentIds,
  currentUserName,
  hostName,
  isElevated,
  isForeground,
  isTerminal,
  processExists,
  processId,
} from './machine.ts';

describe('machine', () => {
  it('knows who and where it is', () => {
    expect(hostName()).toBe(execFileSync('hostname', { encoding: 'utf8' }).trim());
    expect(currentUserName()).toBe(userInfo().username);
    expect(currentIds()).toEqual({ uid: process.getuid?.(), gid: process.getgid?.() });
    expect(isElevated()).toBe(process.getuid?.() === 0);
    expect(bootId()).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('tells which processes exist', async () => {
    expect(processExists(processId)).toBe(true);
    expect(processExists(1)).toBe(true);
    for (const pid of [0, -1, 1.5, Number.NaN, 2 ** 31 - 1]) expect(processExists(pid)).toBe(false);
    const child = spawn('true');
    await new Promise((resolve) => child.once('exit', resolve));
    expect(processExists(child.pid ?? 0)).toBe(false);
  });

  it.runIf(process.platform === 'linux').each([
    [{ HOLDFAST_CACHE_DIR: '/h', RESTIC_CACHE_DIR: '/r' }, '/h'],
    [{ HOLDFAST_CACHE_DIR: '', RESTIC_CACHE_DIR: '/r', HOME: '/home/x' }, '/r'],
    [{ XDG_CACHE_HOME: '/xdg', HOME: '/home/x' }, '/xdg/holdfast'],
    [{ XDG_CACHE_HOME: 'relative', HOME: '/home/x' }, '/home/x/.cache/holdfast'],
    [{ HOME: '/home/x' }, '/home/x/.cache/holdfast'],
  ])('finds the folder for caches from %j', (variables, expected) => {
    expect(cacheDirectory(variables)).toBe(expected);
  });

  it('knows no terminal where there is none', () => {
    expect(isTerminal(99_999)).toBe(false);
    expect(isForeground(99_999)).toBe(true);
  });
});
