import { type BigIntStats, fstatSync, lstatSync, statSync } from 'node:fs';
import { systemCode } from '../../base/errors.ts';
import { timestampFromNs } from '../../base/timestamp.ts';
import type { Place } from '../place.ts';
import type { FileKind, FileStatus } from '../system-calls.ts';
import { fromNodeError, systemError } from '../system-error.ts';
import { pathOf } from './paths.ts';

/** Status of a place; undefined if nothing is there. */
export function statusPortable(place: Place, follow: boolean): FileStatus | undefined {
  const failed = { call: 'lstat', place };
  let stats: BigIntStats | undefined;
  try {
    stats = statsOf(place, follow);
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw fromNodeError(failed, error);
  }
  if (stats === undefined) return undefined;
  if (stats.isFile() && stats.size > 2n ** 53n) throw systemError(failed, 'EOVERFLOW');
  return decodeStats(stats);
}

function statsOf(place: Place, follow: boolean): BigIntStats | undefined {
  if (typeof place === 'number') return fstatSync(place, { bigint: true });
  const path = pathOf(place);
  const options = { bigint: true, throwIfNoEntry: false } as const;
  return follow ? statSync(path, options) : lstatSync(path, options);
}

function decodeStats(stats: BigIntStats): FileStatus {
  return {
    kind: kindOf(stats),
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    links: Number(stats.nlink),
    inode: smallest(stats.ino),
    device: smallest(stats.dev),
    rdev: smallest(stats.rdev),
    sizeBytes: Number(stats.size),
    blocks: Number(stats.blocks ?? 0n),
    mtime: timestampFromNs(stats.mtimeNs),
    atime: timestampFromNs(stats.atimeNs),
    ctime: timestampFromNs(stats.ctimeNs),
  };
}

function kindOf(stats: BigIntStats): FileKind {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isSocket()) return 'socket';
  if (stats.isBlockDevice()) return 'block';
  return stats.isCharacterDevice() ? 'character' : 'unknown';
}

function smallest(value: bigint): number | bigint {
  return value < 2n ** 53n ? Number(value) : value;
}
