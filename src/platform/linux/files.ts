import { constants } from 'node:fs';
import { assert } from '../../base/assert.ts';
import type { EntryPlace, Place } from '../place.ts';
import type { FileStatus, NodeRequest, ReadInto } from '../system-calls.ts';
import { systemError } from '../system-error.ts';
import { arenaAt, attributeSizeBytesMax, placeText } from './arena.ts';
import {
  atFlag,
  attempt,
  callAt,
  errnoOf,
  failure,
  type Linux,
  magicPath,
  openFlag,
  pathSizeBytesMax,
  tryCallAt,
} from './context.ts';
import {
  decodeIsMountRoot,
  decodeStatus,
  packLastStatus,
  statusFlagsNoFollow,
  statusMask,
} from './status.ts';

const renameNoReplace = 1;

const modeOfKind = {
  fifo: 0o010000,
  character: 0o020000,
  block: 0o060000,
  file: 0o100000,
  socket: 0o140000,
} as const;

/** Status of a place; undefined if nothing is there. */
export function statusLinux(linux: Linux, place: Place, follow: boolean): FileStatus | undefined {
  const { libc, arena } = linux;
  const target = arena.base + arenaAt.status;
  const base = follow ? atFlag.noAutomount : statusFlagsNoFollow;
  const failed = { call: 'statx', place };
  const result = tryCallAt(linux, place, (aim) =>
    libc.statx(aim.directory, aim.path, aim.flags | base, statusMask, target),
  );
  if (result === -errnoOf.ENOENT || result === -errnoOf.ENOTDIR) return undefined;
  if (result < 0) throw failure(failed, -result);
  const status = decodeStatus(arena);
  if (status === undefined) throw systemError(failed, 'EOVERFLOW');
  return status;
}

/** Whether something is mounted at an opened directory; undefined before Linux 5.8. */
export function isMountRootLinux(linux: Linux, directory: number): boolean | undefined {
  const { libc, arena } = linux;
  const target = arena.base + arenaAt.status;
  callAt(linux, { call: 'statx', place: directory }, (aim) =>
    libc.statx(aim.directory, aim.path, aim.flags | atFlag.noAutomount, statusMask, target),
  );
  return linux.assumesOld ? undefined : decodeIsMountRoot(arena);
}

/** Opens a file or directory, close-on-exec. O_NOATIME is a wish: only the owner and root may ask for it. */
export function openLinuxFile(
  linux: Linux,
  place: Uint8Array | EntryPlace,
  { flags, mode }: { flags: number; mode: number },
): number {
  const all = flags | openFlag.closeOnExec;
  const open = (wanted: number): number =>
    tryCallAt(linux, place, (aim) => linux.libc.openat(aim.directory, aim.path, wanted, mode));
  let result = open(all);
  // Refused before anything was opened or made.
  if (result === -errnoOf.EPERM && (all & constants.O_NOATIME) !== 0) {
    result = open(all & ~constants.O_NOATIME);
  }
  if (result < 0) throw failure({ call: 'openat', place }, -result);
  return result;
}

/** One read; fewer bytes than `target` holds are no error, 0 is the end. */
export function readLinux(
  linux: Linux,
  { file, position }: { file: number; position: number | undefined },
  target: Uint8Array,
): number {
  const { libc } = linux;
  const result = attempt(linux, () =>
    position === undefined
      ? libc.read(file, target, target.length)
      : libc.pread(file, target, target.length, position),
  );
  if (result < 0) throw failure({ call: 'read', place: file }, -result);
  return result;
}

/** `SystemCalls.readAtOnce`: four calls, and no object for any of them. */
export function readAtOnceLinux(
  linux: Linux,
  { path, flags }: { readonly path: Uint8Array; readonly flags: number },
  { target, sizeBytes, status }: ReadInto,
): number {
  const { libc, arena } = linux;
  if (path.length > pathSizeBytesMax) return -1;
  const text = placeText(arena, arenaAt.path, path);
  const all = flags | openFlag.closeOnExec;
  let file = libc.openat(atFlag.workingDirectory, text, all, 0);
  if (file < 0 && (all & constants.O_NOATIME) !== 0 && libc.errno() === errnoOf.EPERM) {
    file = libc.openat(atFlag.workingDirectory, text, all & ~constants.O_NOATIME, 0);
  }
  if (file < 0) return -1;
  const count = libc.pread(file, target, sizeBytes, 0);
  const aim = atFlag.emptyPath | statusFlagsNoFollow;
  const at = arena.base + arenaAt.status;
  const failed = libc.statx(file, arena.base + arenaAt.empty, aim, statusMask, at);
  // Opened for reading only: closing cannot lose anything.
  libc.close(file);
  return count >= 0 && failed === 0 && packLastStatus(arena, status, 0) !== undefined ? count : -1;
}

/** Target of a symbolic link in raw bytes, whole. */
export function readLinkLinux(linux: Linux, place: Place): Uint8Array<ArrayBuffer> {
  const { libc, arena } = linux;
  const target = arena.base + arenaAt.attributeValue;
  const length = callAt(linux, { call: 'readlinkat', place }, (aim) =>
    libc.readlinkat(aim.directory, aim.path, target, attributeSizeBytesMax),
  );
  // No Linux file system has targets beyond a page; a full buffer would mean a part of one.
  assert(length < attributeSizeBytesMax, 'a link target fits');
  return arena.bytes.slice(arenaAt.attributeValue, arenaAt.attributeValue + length);
}

/**
 * mkdirat(2); `mode` is subject to the umask.
 * @throws FILE_EXISTS, also for a link of that name
 */
export function makeDirectoryLinux(linux: Linux, place: EntryPlace, mode: number): void {
  callAt(linux, { call: 'mkdirat', place }, (aim) =>
    linux.libc.mkdirat(aim.directory, aim.path, mode),
  );
}

/**
 * symlinkat(2); `target` is stored as it is, in raw bytes, whether it leads anywhere or not.
 * @throws FILE_EXISTS
 */
export function makeSymlinkLinux(linux: Linux, place: EntryPlace, target: Uint8Array): void {
  const text = placeText(linux.arena, arenaAt.secondPath, target);
  callAt(linux, { call: 'symlinkat', place }, (aim) =>
    linux.libc.symlinkat(text, aim.directory, aim.path),
  );
}

/** Adds a name to an existing file; a link as `existing` is linked itself, not followed. */
export function makeLinkLinux(
  linux: Linux,
  existing: EntryPlace | number,
  place: EntryPlace,
): void {
  const { libc, arena } = linux;
  const isFile = typeof existing === 'number';
  const from = placeText(arena, arenaAt.secondPath, isFile ? magicPath(existing) : existing.name);
  const fromDirectory = isFile ? atFlag.workingDirectory : existing.directory;
  const flags = isFile ? atFlag.symlinkFollow : 0;
  callAt(linux, { call: 'linkat', place }, (aim) =>
    libc.linkat(fromDirectory, from, aim.directory, aim.path, flags),
  );
}

/**
 * mknodat(2); permissions are subject to the umask. Devices take CAP_MKNOD.
 * @throws FILE_EXISTS, PERMISSION_DENIED
 */
export function makeNodeLinux(linux: Linux, place: EntryPlace, node: NodeRequest): void {
  const mode = modeOfKind[node.kind] | (node.mode & 0o7777);
  callAt(linux, { call: 'mknodat', place }, (aim) =>
    linux.libc.mknodat(aim.directory, aim.path, mode, node.rdev ?? 0),
  );
}

/** Renames; without `replace` an existing name is FILE_EXISTS. */
export function renameLinux(
  linux: Linux,
  { from, to }: { from: EntryPlace; to: EntryPlace },
  replace: boolean,
): void {
  const source = placeText(linux.arena, arenaAt.secondPath, from.name);
  const flags = replace ? 0 : renameNoReplace;
  callAt(linux, { call: 'renameat2', place: to }, (aim) =>
    linux.libc.renameat2(from.directory, source, aim.directory, aim.path, flags),
  );
}

/**
 * unlinkat(2), for an empty directory with AT_REMOVEDIR. A link itself is removed, not what it leads to.
 * @throws FILE_NOT_FOUND, SYSTEM_CALL_FAILED, such as ENOTEMPTY
 */
export function unlinkLinux(linux: Linux, place: EntryPlace, isDirectory: boolean): void {
  const flags = isDirectory ? atFlag.removeDirectory : 0;
  callAt(linux, { call: 'unlinkat', place }, (aim) =>
    linux.libc.unlinkat(aim.directory, aim.path, flags),
  );
}
