import { readFileSync, readlinkSync } from 'node:fs';
import { availableParallelism, constants, homedir, hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { isatty } from 'node:tty';
import { systemCode } from '../base/errors.ts';
import { userName } from './owners.ts';
import { system } from './system.ts';

/** Environment variables. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** Path of the current folder in raw bytes: Node's own text loses what is no UTF-8. */
export function currentDirectory(): Uint8Array {
  const text = process.cwd();
  if (!text.includes('\ufffd')) return Buffer.from(text);
  try {
    return readlinkSync('/proc/self/cwd', { encoding: 'buffer' });
  } catch {
    return Buffer.from(text);
  }
}

/** Name of this machine, as snapshots and locks record it. */
export function hostName(): string {
  return hostname();
}

/** User and group of this process; 0 where the system has no such numbers. */
export function currentIds(): { uid: number; gid: number } {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

/** Name of the user of this process; its number where it has no name. */
export function currentUserName(): string {
  const uid = process.getuid?.();
  if (uid === undefined) return nodeUserName() ?? '';
  return userName(uid) ?? nodeUserName() ?? String(uid);
}

/**
 * Ends the process at once. `process.exit` waits for worker threads, of which one may be stuck in a system call: a
 * file system that does not answer. What was written to streams must be flushed before.
 */
export function endProcess(exitCode: number): never {
  system().endProcess(exitCode);
  return process.exit(exitCode);
}

/**
 * Lets standard output and standard error lead nowhere, the last thing before the end: what was written to them must be
 * flushed before. Otherwise the library that calls C functions syncs both when the process ends: that takes long where
 * output goes to a slow disk, and goes on for ever where it fails. Does nothing on other systems than Linux.
 */
export function detachOutput(): void {
  system().detachOutput();
}

/**
 * Lets this thread get a signal that the runtime was told to hold back, such as SIGUSR1 by `--disable-sigusr1`. Its listener
 * must be there before.
 */
export function admitSignal(signal: NodeJS.Signals): void {
  system().admitSignal(constants.signals[signal]);
}

/** Id of this process, as locks record it. */
export const processId: number = process.pid;

/** Number of processor cores that this process may use. */
export const coreCount: () => number = availableParallelism;

/** True if a process with this id runs on this machine, whoever owns it. */
export function processExists(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Only ESRCH says that there is none; EPERM says that it is another user's.
    return systemCode(error) !== 'ESRCH';
  }
}

/** True if this process may do what only an administrator may; false where this cannot be told. */
export function isElevated(): boolean {
  return process.geteuid?.() === 0;
}

/** Changes with every start of the machine; undefined where the system does not tell. */
export function bootId(): string | undefined {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return undefined;
  }
}

/**
 * Folder for caches: `HOLDFAST_CACHE_DIR`, `RESTIC_CACHE_DIR`, else `holdfast` in the user's folder for caches of this
 * system; undefined if there is none. It may not exist.
 */
export function cacheDirectory(variables: Variables): string | undefined {
  const named = variables['HOLDFAST_CACHE_DIR'] || variables['RESTIC_CACHE_DIR'];
  if (named) return named;
  const base = cacheBase(variables);
  return base === undefined ? undefined : join(base, 'holdfast');
}

/**
 * Folder for what a program remembers from one run to the next: that of a systemd service (`STATE_DIRECTORY`), else `holdfast` in
 * the user's folder for state; undefined if there is none. It may not exist.
 */
export function stateDirectory(variables: Variables): string | undefined {
  // Of several the first: systemd separates them by colons.
  const ofService = variables['STATE_DIRECTORY']?.split(':')[0];
  if (ofService?.startsWith('/')) return ofService;
  if (process.platform === 'win32') {
    const local = variables['LOCALAPPDATA'];
    return local ? join(local, 'holdfast') : undefined;
  }
  const named = variables['XDG_STATE_HOME'];
  // A relative one must be ignored, says the XDG base directory specification.
  if (named?.startsWith('/')) return join(named, 'holdfast');
  const home = variables['HOME'] || homeDirectory();
  return home ? join(home, '.local', 'state', 'holdfast') : undefined;
}

/** True if the descriptor (0 to 2) is a terminal. */
export function isTerminal(file: number): boolean {
  return isatty(file);
}

/** True if this process may write to its terminal now: it is not in the background of a shell. */
export function isForeground(file: number): boolean {
  return !isatty(file) || system().isForeground(file);
}

function cacheBase(variables: Variables): string | undefined {
  if (process.platform === 'win32') return variables['LOCALAPPDATA'] || undefined;
  const home = variables['HOME'] || homeDirectory();
  if (process.platform === 'darwin') return home && join(home, 'Library', 'Caches');
  const named = variables['XDG_CACHE_HOME'];
  // A relative one must be ignored, says the XDG base directory specification.
  if (named?.startsWith('/')) return named;
  return home && join(home, '.cache');
}

function homeDirectory(): string | undefined {
  try {
    return homedir() || undefined;
  } catch {
    return undefined;
  }
}

function nodeUserName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return undefined;
  }
}
