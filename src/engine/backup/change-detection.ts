import { idSizeBytes } from '../../repository/id.ts';
import { compareTimestamps, type Timestamp } from '../../base/timestamp.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { BackupOptions } from './options.ts';

/** Steps in which file systems count time, with room to spare: those with and without fractions of a second. */
const fineStepSeconds = 0.1;
const coarseStepSeconds = 2;

/** When the parent backup ran. */
export interface ParentTime {
  readonly start: Timestamp;
  readonly end: Timestamp;
}

/** What besides size and time of modification counts when a file is compared with the parent snapshot. */
export interface DetectionOptions extends Pick<BackupOptions, 'ignoreCtime' | 'ignoreInode'> {
  /** Absent: not known. */
  readonly parentTime?: ParentTime | undefined;
}

/**
 * True if a file is taken to be as it was when `previous` was stored: same type, size, times and inode.
 * The device is never compared: it changes with every mount.
 *
 * A file that changed while the parent backup ran is never taken so: it may have changed once more after it was
 * read, within the same step of the clock. @see docs/FORMAT.md#backup
 */
export function isUnmodified(
  node: TreeNode,
  previous: TreeNode,
  options: DetectionOptions,
): boolean {
  if (previous.type !== 'file' || !previous.content) return false;
  if (node.sizeBytes !== previous.sizeBytes || !equalTimes(node.mtime, previous.mtime))
    return false;
  if (options.ignoreInode) return true;
  if (node.inode !== previous.inode) return false;
  if (options.ignoreCtime === true) return true;
  return equalTimes(node.ctime, previous.ctime) && !mayHideChange(node.ctime, options.parentTime);
}

function equalTimes(a: Timestamp, b: Timestamp): boolean {
  return a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;
}

/** True for a time of change that may stand for two changes, of which the parent backup saw the first only. */
export function mayHideChange(changed: Timestamp, parentTime: ParentTime | undefined): boolean {
  if (!parentTime) return false;
  // Most files are far from it, and are asked about one by one.
  const isFar =
    changed.seconds < parentTime.start.seconds - 2 * coarseStepSeconds ||
    changed.seconds > parentTime.end.seconds + 2 * coarseStepSeconds;
  if (isFar) return false;
  const step = changed.nanoseconds === 0 ? coarseStepSeconds : fineStepSeconds;
  return (
    compareTimestamps(moved(changed, step), parentTime.start) >= 0 &&
    compareTimestamps(moved(changed, -step), parentTime.end) <= 0
  );
}

function moved({ seconds, nanoseconds }: Timestamp, by: number): Timestamp {
  const total = nanoseconds + by * 1e9;
  const carry = Math.floor(total / 1e9);
  return { seconds: seconds + carry, nanoseconds: total - carry * 1e9 };
}

/** True if every chunk of `content` is in the index. */
export function hasAllChunks(index: BlobIndex, content: Uint8Array): boolean {
  for (let offset = 0; offset < content.byteLength; offset += idSizeBytes) {
    if (index.find('data', content, offset) < 0) return false;
  }
  return true;
}
