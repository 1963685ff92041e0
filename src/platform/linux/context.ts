import type { HoldfastError } from '../../base/errors.ts';
import type { EntryPlace, Place } from '../place.ts';
import { errnoName, systemError } from '../system-error.ts';
import { type Arena, arenaAt, createArena, placeText } from './arena.ts';
import { type Libc, loadLibc } from './libc.ts';

/** libc and the memory its calls work in; one a thread. */
export interface Linux {
  readonly libc: Libc;
  readonly arena: Arena;
  /** Do without what is newer; for tests. */
  readonly assumesOld: boolean;
  /** The kernel has `listxattrat` and its kin (6.13 and newer). */
  readonly hasAttributesAt: boolean;
  /** The kernel has `fchmodat2` (6.6 and newer). */
  readonly hasModeAt: boolean;
}

/** System calls newer than libc; numbers of their age are the same on every architecture. */
export const callNumber = {
  fchmodat2: 452,
  setxattrat: 463,
  getxattrat: 464,
  listxattrat: 465,
  removexattrat: 466,
} as const;

/** Error numbers that calls are asked for (`asm-generic/errno.h`): the same on all architectures this room runs on. */
export const errnoOf = {
  ENOENT: 2,
  EPERM: 1,
  EINTR: 4,
  ENXIO: 6,
  EBADF: 9,
  EAGAIN: 11,
  ENOTDIR: 20,
  EINVAL: 22,
  ENOTTY: 25,
  ERANGE: 34,
  ENOSYS: 38,
  ENODATA: 61,
  ENOTSUP: 95,
} as const;

/** `AT_*` of the `*at` calls (`linux/fcntl.h`). `workingDirectory` stands in the place of a directory's descriptor. */
export const atFlag = {
  workingDirectory: -100,
  symlinkNoFollow: 0x100,
  removeDirectory: 0x200,
  symlinkFollow: 0x400,
  noAutomount: 0x800,
  emptyPath: 0x1000,
} as const;

/** Not in `fs.constants`; the same on all architectures this room runs on. */
export const openFlag = { closeOnExec: 0o2000000, path: 0o10000000 } as const;

/** Longest path in one call, without its zero byte. */
export const pathSizeBytesMax = 4095;
const currentDirectory = Uint8Array.of(0x2e);

/** What this thread needs for its calls; undefined where libc, koffi or the kernel cannot serve. */
export function openLinux({ assumeOld = false }: { assumeOld?: boolean } = {}): Linux | undefined {
  const libc = loadLibc(assumeOld);
  if (libc === undefined) return undefined;
  const arena = createArena(libc);
  const path = placeText(arena, arenaAt.path, currentDirectory);
  // A descriptor that cannot be: EBADF shows that the call exists and that no filter (old container) refuses it.
  const exists = (result: number): boolean => result < 0 && libc.errno() === errnoOf.EBADF;
  const target = arena.base + arenaAt.status;
  if (!exists(libc.statx(-1, path, 0, 0, target))) return undefined;
  return {
    libc,
    arena,
    assumesOld: assumeOld,
    hasAttributesAt:
      !assumeOld && exists(libc.syscall(callNumber.listxattrat, -1, path, 0, target, 0, 0)),
    hasModeAt: !assumeOld && exists(libc.syscall(callNumber.fchmodat2, -1, path, 0, 0, 0, 0)),
  };
}

/** Where an `*at` call acts: a directory, the address of a path, and AT_EMPTY_PATH for an opened file itself. */
export interface Aim {
  readonly directory: number;
  readonly path: number;
  readonly flags: number;
}

/**
 * Runs an `*at` call on a place, again when a signal interrupted it.
 * @returns what the call returned, never negative
 * @throws as `systemError`
 */
export function callAt(
  linux: Linux,
  failed: { call: string; place: Place },
  action: (aim: Aim) => number,
): number {
  const result = tryCallAt(linux, failed.place, action);
  if (result < 0) throw failure(failed, -result);
  return result;
}

/** As `callAt`, but returns the negative error number instead of throwing. */
export function tryCallAt(linux: Linux, place: Place, action: (aim: Aim) => number): number {
  const { arena } = linux;
  if (typeof place === 'number') {
    const path = arena.base + arenaAt.empty;
    return attempt(linux, () => action({ directory: place, path, flags: atFlag.emptyPath }));
  }
  if (!(place instanceof Uint8Array)) {
    const path = placeText(arena, arenaAt.path, place.name);
    return attempt(linux, () => action({ directory: place.directory, path, flags: 0 }));
  }
  if (place.length > pathSizeBytesMax) return tryLongPath(linux, place, action);
  const path = placeText(arena, arenaAt.path, place);
  return attempt(linux, () => action({ directory: atFlag.workingDirectory, path, flags: 0 }));
}

/** The result of `action`, or the negative error number. */
export function attempt(linux: Linux, action: () => number): number {
  for (;;) {
    const result = action();
    if (result >= 0) return result;
    const errno = linux.libc.errno();
    if (errno !== errnoOf.EINTR) return -errno;
  }
}

/** Opens the directories of a path beyond PATH_MAX piece by piece, as the kernel would walk it. */
function tryLongPath(linux: Linux, path: Uint8Array, action: (aim: Aim) => number): number {
  let directory: number = atFlag.workingDirectory;
  let rest = path;
  try {
    while (rest.length > pathSizeBytesMax) {
      const end = rest.subarray(0, pathSizeBytesMax).lastIndexOf(0x2f);
      if (end < 0) break;
      const opened = openPiece(linux, directory, rest.subarray(0, end + 1));
      if (opened < 0) return opened;
      if (directory >= 0) linux.libc.close(directory);
      directory = opened;
      rest = rest.subarray(end + 1);
    }
    const at = placeText(linux.arena, arenaAt.path, rest.length === 0 ? currentDirectory : rest);
    return attempt(linux, () => action({ directory, path: at, flags: 0 }));
  } finally {
    if (directory >= 0) linux.libc.close(directory);
  }
}

function openPiece(linux: Linux, directory: number, piece: Uint8Array): number {
  const at = placeText(linux.arena, arenaAt.path, piece);
  const flags = openFlag.path | openFlag.closeOnExec;
  return attempt(linux, () => linux.libc.openat(directory, at, flags, 0));
}

/** The error for a failed call. */
export function failure(
  failed: { call: string; place: Place | undefined },
  errno: number,
): HoldfastError {
  return systemError(failed, errnoName(errno));
}

/** The magic path of an opened file or of a name below an opened directory, for calls without an `*at` form. */
export function magicPath(place: number | EntryPlace): Uint8Array {
  if (typeof place === 'number') return Buffer.from(`/proc/self/fd/${place}`);
  return Buffer.concat([Buffer.from(`/proc/self/fd/${place.directory}/`), place.name]);
}
