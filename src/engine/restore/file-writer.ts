import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { EntryPlace } from '../../platform/place.ts';
import {
  closeFile,
  openFile,
  renameAt,
  truncateFile,
  unlinkAt,
  writeAt,
} from '../../platform/files.ts';
import { applyMetadata } from './metadata.ts';
import type { FileTask } from './messages.ts';
import { temporaryName } from './temporary-name.ts';

/** Runs of zeros shorter than this are written even into sparse files. */
const holeBytesMin = 64 << 10;

/** Where the content of a file is written. */
export function writePlace(task: FileTask): EntryPlace {
  const name = task.mode === 'in-place' ? task.name : temporaryName(task.name);
  return { directory: task.directory, name };
}

/** Opens the file that takes the content; makes it if needed. Never follows a link. */
export function openForWriting(task: FileTask): number {
  const place = writePlace(task);
  if (task.mode === 'in-place') return openFile(place, { write: true });
  if (!task.isWhole) return openFile(place, { write: true, create: true });
  try {
    return openFile(place, { write: true, create: true, exclusive: true });
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_EXISTS')) throw error;
    // Left by a run that was interrupted.
    unlinkAt(place.directory, place.name);
    return openFile(place, { write: true, create: true, exclusive: true });
  }
}

/** Writes bytes at an offset; with `sparse`, long runs of zeros are left out. */
export function writeContent(
  fd: number,
  bytes: Uint8Array,
  at: { offset: number; sparse: boolean },
): void {
  if (!at.sparse) {
    writeAt(fd, bytes, at.offset);
    return;
  }
  for (let start = 0; start < bytes.byteLength; start += holeBytesMin) {
    const part = bytes.subarray(start, start + holeBytesMin);
    if (!isZeros(part)) writeAt(fd, part, at.offset + start);
  }
}

/** True if all bytes are 0. */
export function isZeros(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.byteLength; i++) if (bytes[i] !== 0) return false;
  return true;
}

/**
 * Sets size and metadata and puts the file in its place.
 * @returns what could not be set; the content is in place all the same
 * @throws what keeps the file from its place
 */
export function finishFile(fd: number, task: FileTask): HoldfastError[] {
  // In place the file may have been longer; sparse content may end in a hole.
  if (task.mode === 'in-place' || task.sparse || !task.isWhole) truncateFile(fd, task.sizeBytes);
  const failures = applyMetadata(fd, task.metadata, false);
  if (task.mode === 'replace') {
    renameAt(writePlace(task), { directory: task.directory, name: task.name });
  }
  return failures;
}

/** Removes what was written under the temporary name. */
export function discardFile(task: FileTask): void {
  if (task.mode === 'in-place') return;
  try {
    const place = writePlace(task);
    unlinkAt(place.directory, place.name);
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
  }
}

/** Runs `action` with the open file. */
export function withFile<T>(task: FileTask, action: (fd: number) => T): T {
  const fd = openForWriting(task);
  try {
    return action(fd);
  } finally {
    closeFile(fd);
  }
}
