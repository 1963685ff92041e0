import {
  closeSync,
  constants,
  linkSync,
  mkdirSync,
  openSync,
  readlinkSync,
  readSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { systemCode } from '../../base/errors.ts';
import type { EntryPlace, Place } from '../place.ts';
import { packStatus } from '../packed-scan.ts';
import type { NodeRequest, ReadInto } from '../system-calls.ts';
import { fromNodeError, systemError } from '../system-error.ts';
import { forgetPath, pathOf, rememberPath } from './paths.ts';
import { statusPortable } from './status.ts';
import { unsupported } from './unsupported.ts';

/** Runs a call of `node:fs` and translates its error. */
export function run<T>(call: string, place: Place, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw fromNodeError({ call, place }, error);
  }
}

/**
 * `SystemCalls.open`. The path is remembered, so that names below the descriptor can be resolved until
 * `closePortable`.
 */
export function openPortable(
  place: Uint8Array | EntryPlace,
  { flags, mode }: { flags: number; mode: number },
): number {
  const path = pathOf(place);
  const file = run('open', place, () => openWithWish(path, flags, mode));
  rememberPath(file, path);
  return file;
}

/** O_NOATIME is a wish: only the owner and root may ask for it. */
function openWithWish(path: Buffer, flags: number, mode: number): number {
  const wish = constants.O_NOATIME ?? 0;
  try {
    return openSync(path, flags, mode);
  } catch (error) {
    if ((flags & wish) === 0 || systemCode(error) !== 'EPERM') throw error;
    return openSync(path, flags & ~wish, mode);
  }
}

/** `SystemCalls.close`. The path of the descriptor is forgotten first. */
export function closePortable(file: number): void {
  forgetPath(file);
  run('close', file, () => closeSync(file));
}

/**
 * One read; fewer bytes than `target` holds are no error, 0 is the end.
 * @param position `undefined`: at the file's own offset
 */
export function readPortable(
  file: number,
  target: Uint8Array,
  position: number | undefined,
): number {
  return run('read', file, () => readSync(file, target, 0, target.length, position ?? null));
}

/** `SystemCalls.readAtOnce`. */
export function readAtOncePortable(
  path: Uint8Array,
  flags: number,
  { target, sizeBytes, status }: ReadInto,
): number {
  try {
    const file = openWithWish(pathOf(path), flags, 0);
    try {
      const count = readSync(file, target, 0, sizeBytes, 0);
      const after = statusPortable(file, false);
      return after && packStatus(after, status, 0) ? count : -1;
    } finally {
      closeSync(file);
    }
  } catch {
    // The caller asks again, one call after the other, and hears why.
    return -1;
  }
}

/** Target of a symbolic link in raw bytes, in memory of its own. */
export function readLinkPortable(place: Place): Uint8Array<ArrayBuffer> {
  const target = run('readlink', place, () => readlinkSync(pathOf(place), { encoding: 'buffer' }));
  return Uint8Array.from(target);
}

/** `mode` is subject to the umask. */
export function makeDirectoryPortable(place: EntryPlace, mode: number): void {
  run('mkdir', place, () => mkdirSync(pathOf(place), { mode }));
}

/** `target` is stored as it is, in raw bytes. */
export function makeSymlinkPortable(place: EntryPlace, target: Uint8Array): void {
  run('symlink', place, () => symlinkSync(pathOf(target), pathOf(place)));
}

/**
 * Adds a name to an existing file.
 * @throws UNSUPPORTED for a descriptor: `node:fs` cannot link what has no name
 */
export function makeLinkPortable(existing: EntryPlace | number, place: EntryPlace): void {
  if (typeof existing === 'number') throw unsupported('link', place);
  run('link', place, () => linkSync(pathOf(existing), pathOf(place)));
}

/**
 * Makes an empty file.
 * @throws UNSUPPORTED for every other kind: `node:fs` has no mknod; FILE_EXISTS
 */
export function makeNodePortable(place: EntryPlace, node: NodeRequest): void {
  if (node.kind !== 'file') throw unsupported('mknod', place);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  closePortable(openPortable(place, { flags, mode: node.mode }));
}

/**
 * Renames. Without `replace` an existing name is FILE_EXISTS; it is looked for before, so one that comes in between
 * is replaced all the same.
 */
export function renamePortable(from: EntryPlace, to: EntryPlace, replace: boolean): void {
  if (!replace && statusPortable(to, false) !== undefined) {
    throw systemError({ call: 'rename', place: to }, 'EEXIST');
  }
  run('rename', to, () => renameSync(pathOf(from), pathOf(to)));
}

/** Removes a name, or an empty directory. A link itself is removed, not what it leads to. */
export function unlinkPortable(place: EntryPlace, isDirectory: boolean): void {
  if (isDirectory) run('rmdir', place, () => rmdirSync(pathOf(place)));
  else run('unlink', place, () => unlinkSync(pathOf(place)));
}
