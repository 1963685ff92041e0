import { constants } from 'node:fs';
import type { EntryPlace } from '../place.ts';
import type { FileOwner, FileTimes } from '../system-calls.ts';
import { systemError } from '../system-error.ts';
import { type Arena, arenaAt, placeText, putSigned } from './arena.ts';
import {
  atFlag,
  attempt,
  callAt,
  callNumber,
  errnoOf,
  failure,
  type Linux,
  magicPath,
  openFlag,
} from './context.ts';

/** Stands for "leave it" in `chown`; no file can be given this id. */
const keepId = 0xffffffff;
/** UTIME_OMIT. */
const keepTime = 0x3ffffffe;

const noFlagsCodes: ReadonlySet<number> = new Set([
  errnoOf.ENOTTY,
  errnoOf.ENOTSUP,
  errnoOf.EINVAL,
]);

const ioctlNumber = { getFlags: 0x80086601, setFlags: 0x40086602 } as const;

/**
 * fchownat(2), of a link itself. The absent part stays; an id of 2^32 - 1 is EINVAL. The kernel may clear setuid and
 * setgid, so the mode is set afterwards.
 */
export function setOwnerLinux(linux: Linux, place: number | EntryPlace, owner: FileOwner): void {
  const failed = { call: 'fchownat', place };
  // The kernel would take it for "leave it" and say all is well.
  if (owner.uid === keepId || owner.gid === keepId) throw systemError(failed, 'EINVAL');
  const { uid = keepId, gid = keepId } = owner;
  callAt(linux, failed, (aim) =>
    linux.libc.fchownat(aim.directory, aim.path, uid, gid, aim.flags | atFlag.symlinkNoFollow),
  );
}

/** Sets permissions of what the place itself is; a symbolic link gives ENOTSUP, its target is not touched. */
export function setModeLinux(linux: Linux, place: number | EntryPlace, mode: number): void {
  const { libc } = linux;
  const failed = { call: 'fchmodat', place };
  if (linux.hasModeAt) {
    callAt(linux, failed, ({ directory, path, flags }) =>
      libc.syscall(
        callNumber.fchmodat2,
        directory,
        path,
        mode,
        flags | atFlag.symlinkNoFollow,
        0,
        0,
      ),
    );
    return;
  }
  if (typeof place === 'number') return chmodOpened(linux, { place, file: place, mode });
  const flags = openFlag.path | openFlag.closeOnExec | constants.O_NOFOLLOW;
  const file = callAt(linux, failed, (aim) => libc.openat(aim.directory, aim.path, flags, 0));
  try {
    chmodOpened(linux, { place, file, mode });
  } finally {
    libc.close(file);
  }
}

/** A link opened with O_PATH would be followed here to nowhere: the kernel answers ENOTSUP for it since 6.6, ELOOP before. */
function chmodOpened(
  linux: Linux,
  { place, file, mode }: { place: number | EntryPlace; file: number; mode: number },
): void {
  const path = placeText(linux.arena, arenaAt.path, magicPath(file));
  const result = attempt(linux, () => linux.libc.chmod(path, mode));
  if (result < 0) throw failure({ call: 'fchmodat', place }, -result);
}

/** Sets times to the nanosecond, of a link itself; the file system may still round or clamp them. */
export function setTimesLinux(linux: Linux, place: number | EntryPlace, times: FileTimes): void {
  const { libc, arena } = linux;
  putTime(arena, arenaAt.record / 4, times.atime);
  putTime(arena, arenaAt.record / 4 + 4, times.mtime);
  const record = arena.base + arenaAt.record;
  callAt(linux, { call: 'utimensat', place }, (aim) =>
    libc.utimensat(aim.directory, aim.path, record, aim.flags | atFlag.symlinkNoFollow),
  );
}

function putTime(arena: Arena, word: number, time: FileTimes['mtime']): void {
  putSigned(arena, word, time?.seconds ?? 0);
  putSigned(arena, word + 2, time?.nanoseconds ?? keepTime);
}

/** Flags as `lsattr` shows them; undefined where the file system has none. */
export function inodeFlagsLinux(linux: Linux, file: number): number | undefined {
  const { libc, arena } = linux;
  putSigned(arena, arenaAt.record / 4, 0);
  const record = arena.base + arenaAt.record;
  const result = attempt(linux, () => libc.ioctl(file, ioctlNumber.getFlags, record));
  if (result >= 0) return arena.words[arenaAt.record / 4]!;
  const hasNone = noFlagsCodes.has(-result);
  if (hasNone) return undefined;
  throw failure({ call: 'ioctl(FS_IOC_GETFLAGS)', place: file }, -result);
}

/**
 * Sets all flags as `chattr` does (FS_IOC_SETFLAGS): those absent from `flags` are cleared. Immutable and append-only
 * take CAP_LINUX_IMMUTABLE.
 */
export function setInodeFlagsLinux(linux: Linux, file: number, flags: number): void {
  const { libc, arena } = linux;
  putSigned(arena, arenaAt.record / 4, flags);
  const record = arena.base + arenaAt.record;
  const result = attempt(linux, () => libc.ioctl(file, ioctlNumber.setFlags, record));
  if (result < 0) throw failure({ call: 'ioctl(FS_IOC_SETFLAGS)', place: file }, -result);
}
