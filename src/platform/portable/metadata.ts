import { chmodSync, fchmodSync, fchownSync, futimesSync, lchownSync, lutimesSync } from 'node:fs';
import { defined } from '../../base/assert.ts';
import { type Timestamp } from '../../base/timestamp.ts';
import type { EntryPlace } from '../place.ts';
import type { FileOwner, FileTimes } from '../system-calls.ts';
import { missingError, systemError } from '../system-error.ts';
import { run } from './files.ts';
import { pathOf } from './paths.ts';
import { statusPortable } from './status.ts';
import { unsupported } from './unsupported.ts';

const keepId = -1;
const idMax = 0xffffffff;

/** Sets the owner, of a link its own. The absent part stays; an id of 2^32 - 1 is EINVAL. */
export function setOwnerPortable(place: number | EntryPlace, owner: FileOwner): void {
  const { uid = keepId, gid = keepId } = owner;
  // The system would take it for "leave it" and say all is well.
  if (uid === idMax || gid === idMax) throw systemError({ call: 'chown', place }, 'EINVAL');
  run('chown', place, () =>
    typeof place === 'number' ? fchownSync(place, uid, gid) : lchownSync(pathOf(place), uid, gid),
  );
}

/**
 * Sets permissions, past the umask. A link is ENOTSUP, but one that takes the place of a file in between is followed.
 */
export function setModePortable(place: number | EntryPlace, mode: number): void {
  if (typeof place === 'number') return run('chmod', place, () => fchmodSync(place, mode));
  const status = statusPortable(place, false);
  if (status === undefined) throw missingError('chmod', place);
  if (status.kind === 'symlink') throw systemError({ call: 'chmod', place }, 'ENOTSUP');
  run('chmod', place, () => chmodSync(pathOf(place), mode));
}

/** `node:fs` takes seconds as a floating-point number: right to about a microsecond near the present. */
export function setTimesPortable(place: number | EntryPlace, times: FileTimes): void {
  const before = statusPortable(place, false);
  if (before === undefined) throw missingError('utimes', place);
  const atime = times.atime ?? before.atime;
  const mtime = times.mtime ?? before.mtime;
  run('utimes', place, () =>
    typeof place === 'number'
      ? futimesSync(place, toSeconds(atime), toSeconds(mtime))
      : lutimesSync(pathOf(place), toSeconds(atime), toSeconds(mtime)),
  );
  // Some versions set times before 1970 to something else without an error.
  const after = defined(statusPortable(place, false), 'the entry is still there');
  if (Math.abs(toSeconds(after.mtime) - toSeconds(mtime)) > 1) throw unsupported('utimes', place);
}

function toSeconds(time: Timestamp): number {
  return time.seconds + time.nanoseconds / 1e9;
}
