import { closeSync, openSync } from 'node:fs';

import type { SystemCalls } from '../system-calls.ts';
import { arenaAt } from './arena.ts';
import { readAttributesLinux, removeAttributeLinux, setAttributeLinux } from './attributes.ts';
import { attempt, errnoOf, failure, type Linux, openLinux } from './context.ts';
import {
  listLinux,
  listPackedLinux,
  packSmallLinux,
  scanNamesLinux,
  scanSmallLinux,
} from './directory.ts';
import {
  isMountRootLinux,
  makeDirectoryLinux,
  makeLinkLinux,
  makeNodeLinux,
  makeSymlinkLinux,
  openLinuxFile,
  readAtOnceLinux,
  readLinkLinux,
  readLinux,
  renameLinux,
  statusLinux,
  unlinkLinux,
} from './files.ts';
import { allocateLinux, punchHoleLinux, seekLinux } from './holes.ts';
import {
  inodeFlagsLinux,
  setInodeFlagsLinux,
  setModeLinux,
  setOwnerLinux,
  setTimesLinux,
} from './metadata.ts';
import { ownerIdLinux, ownerNameLinux } from './owners.ts';

/**
 * The calls made from libc; undefined where that is not possible. One set serves one thread.
 * @param options.assumeOld do without what Linux 6.6 and 6.13 and newer versions of libc added; for tests
 */
export function linuxCalls(options: { assumeOld?: boolean } = {}): SystemCalls | undefined {
  const linux = openLinux(options);
  return linux && callsOf(linux);
}

function callsOf(linux: Linux): SystemCalls {
  return {
    kind: 'linux',
    losses: { backup: [], restore: [] },
    status: (place, follow) => statusLinux(linux, place, follow),
    isMountRoot: (directory) => isMountRootLinux(linux, directory),
    list: (directory) => listLinux(linux, directory),
    listPacked: (directory) => listPackedLinux(linux, directory),
    scanSmall: (directory, options) => scanSmallLinux(linux, directory, options),
    packSmall: (directory, packer) => packSmallLinux(linux, directory, packer),
    scanNames: (directory, names, options) => scanNamesLinux(linux, { directory, names }, options),
    open: (place, flags, mode) => openLinuxFile(linux, place, { flags, mode }),
    close: (file) => closeLinux(linux, file),
    read: (file, target, position) => readLinux(linux, { file, position }, target),
    readAtOnce: (path, flags, into) => readAtOnceLinux(linux, { path, flags }, into),
    readLink: (place) => readLinkLinux(linux, place),
    makeDirectory: (place, mode) => makeDirectoryLinux(linux, place, mode),
    makeSymlink: (place, target) => makeSymlinkLinux(linux, place, target),
    makeLink: (existing, place) => makeLinkLinux(linux, existing, place),
    makeNode: (place, node) => makeNodeLinux(linux, place, node),
    rename: (from, to, replace) => renameLinux(linux, { from, to }, replace),
    unlink: (place, isDirectory) => unlinkLinux(linux, place, isDirectory),
    readAttributes: (place, follow, onProblem) =>
      readAttributesLinux(linux, place, { follow, onProblem }),
    setAttribute: (place, attribute) => setAttributeLinux(linux, place, attribute),
    removeAttribute: (place, name) => removeAttributeLinux(linux, place, name),
    setOwner: (place, owner) => setOwnerLinux(linux, place, owner),
    setMode: (place, mode) => setModeLinux(linux, place, mode),
    setTimes: (place, times) => setTimesLinux(linux, place, times),
    inodeFlags: (file) => inodeFlagsLinux(linux, file),
    setInodeFlags: (file, flags) => setInodeFlagsLinux(linux, file, flags),
    seekData: (file, position) => seekLinux(linux, { file, position }, 'data'),
    seekHole: (file, position) => seekLinux(linux, { file, position }, 'hole'),
    punchHole: (file, start, end) => punchHoleLinux(linux, file, { start, end }),
    allocate: (file, sizeBytes) => allocateLinux(linux, file, sizeBytes),
    syncFileSystem: (file) => syncLinux(linux, file),
    lock: (file) => lockLinux(linux, file),
    userName: (uid) => ownerNameLinux(linux, 'user', uid),
    groupName: (gid) => ownerNameLinux(linux, 'group', gid),
    userId: (name) => ownerIdLinux(linux, 'user', name),
    groupId: (name) => ownerIdLinux(linux, 'group', name),
    isForeground: (file) => isForegroundLinux(linux, file),
    admitSignal: (signal) => admitSignalLinux(linux, signal),
    detachOutput: () => detachOutputLinux(linux),
    endProcess: (exitCode) => linux.libc.exitGroup(exitCode),
  };
}

function closeLinux(linux: Linux, file: number): void {
  // Never again after EINTR: Linux has closed it, and the number may be another file's by now.
  if (linux.libc.close(file) !== 0) {
    const errno = linux.libc.errno();
    if (errno !== errnoOf.EINTR) throw failure({ call: 'close', place: undefined }, errno);
  }
}

function syncLinux(linux: Linux, file: number): true {
  const result = attempt(linux, () => linux.libc.syncfs(file));
  if (result < 0) throw failure({ call: 'syncfs', place: file }, -result);
  return true;
}

/** LOCK_EX | LOCK_NB. @see flock(2) */
const lockAtOnce = 2 | 4;

function lockLinux(linux: Linux, file: number): boolean {
  return attempt(linux, () => linux.libc.flock(file, lockAtOnce)) !== -errnoOf.EAGAIN;
}

function admitSignalLinux({ libc, arena }: Linux, signal: number): void {
  const at = arenaAt.record / 4;
  const isHigh = signal > 32;
  arena.words[at] = isHigh ? 0 : (1 << (signal - 1)) >>> 0;
  arena.words[at + 1] = isHigh ? (1 << (signal - 33)) >>> 0 : 0;
  libc.unblockSignals(arena.base + arenaAt.record);
}

function detachOutputLinux({ libc }: Linux): void {
  const nothing = openSync('/dev/null', 'w');
  for (const file of [1, 2]) libc.dup2(nothing, file);
  closeSync(nothing);
}

function isForegroundLinux({ libc }: Linux, file: number): boolean {
  const owner = libc.tcgetpgrp(file);
  return owner < 0 || owner === libc.getpgrp();
}
