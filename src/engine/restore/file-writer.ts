import { endsWork, HoldfastError, isHoldfastError, systemCode } from '../../base/errors.ts';
import { punchHole } from '../../platform/holes.ts';
import type { EntryPlace } from '../../platform/place.ts';
import {
  closeFile,
  openFile,
  renameAt,
  truncateFile,
  unlinkAt,
  writeAt,
} from '../../platform/files.ts';
import { readStatusOf, tryReadKind } from '../../platform/status.ts';
import { applyMetadata } from './metadata.ts';
import type { FileTask, Zeros } from './messages.ts';
import { temporaryName } from './temporary-name.ts';

/** Runs of zeros shorter than this are written even into sparse files. */
const holeBytesMin = 64 << 10;
/** What file systems answer that cannot rename without replacing. */
const noReplaceUnknown: ReadonlySet<string | undefined> = new Set(['EINVAL', 'ENOSYS', 'ENOTSUP']);

/** Where the content of a file is written. */
export function writePlace(task: FileTask): EntryPlace {
  const { directory, name, salt } = task;
  const kind = task.mode === 'update' ? 'half' : 'part';
  return { directory, name: temporaryName(name, salt, kind) };
}

/**
 * Opens the file that takes the content. Never follows a link, and never opens a file that has further
 * names: what is written would show there too.
 */
export function openForWriting(task: FileTask): number {
  return task.mode === 'whole' ? createTemporary(task) : openSole(writePlace(task));
}

function openSole(place: EntryPlace): number {
  const fd = openFile(place, { write: true });
  const { kind, links } = readStatusOf(fd);
  if (kind === 'file' && links === 1) return fd;
  closeFile(fd);
  throw new HoldfastError('TARGET_FAILED', {
    message: 'somebody else changed the file while it was being restored',
  });
}

/**
 * Makes sure that an existing file can be updated, and that nothing has the temporary name that it gets for that.
 * @throws if it cannot: a running program, a file that is read-only for us, another one that is half updated
 */
export function assertUpdatable(task: FileTask): void {
  closeFile(openSole({ directory: task.directory, name: task.name }));
  if (tryReadKind(writePlace(task))) throw nameTaken();
}

/**
 * Gives an existing file that is to be updated its temporary name: while it is half updated it must not have the final
 * one, for its new time would make a later run with "if-newer" take it for right.
 * @throws what renaming throws, TARGET_FAILED if something has the temporary name
 */
export function moveAside(task: FileTask): void {
  renameFree({ directory: task.directory, name: task.name }, writePlace(task));
}

/** Gives a file back the name that `moveAside` took from it. @throws as `moveAside` */
export function moveBack(task: FileTask): void {
  renameFree(writePlace(task), { directory: task.directory, name: task.name });
}

/** Makes the file under its temporary name, new, whatever an interrupted run left there. */
export function createTemporary(task: FileTask): number {
  const place = writePlace(task);
  const options = { write: true, create: true, exclusive: true };
  try {
    return openFile(place, options);
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_EXISTS')) throw error;
    unlinkAt(place.directory, place.name);
    return openFile(place, options);
  }
}

/** Writes bytes at an offset; long runs of zeros as `zeros` says. */
export function writeContent(
  fd: number,
  bytes: Uint8Array,
  at: { readonly offset: number; readonly zeros: Zeros },
): void {
  if (at.zeros === 'written') {
    writeAt(fd, bytes, at.offset);
    return;
  }
  for (let start = 0; start < bytes.byteLength; start += holeBytesMin) {
    const part = bytes.subarray(start, start + holeBytesMin);
    const offset = at.offset + start;
    if (!isZeros(part)) writeAt(fd, part, offset);
    else if (at.zeros === 'punched') writeHole(fd, part, offset);
  }
}

/** True if all bytes are 0. */
export function isZeros(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.byteLength; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** Makes a hole where other bytes may be; beyond the end there is one already. */
function writeHole(fd: number, zeros: Uint8Array, offset: number): void {
  if (!punchHole(fd, offset, offset + zeros.byteLength)) writeAt(fd, zeros, offset);
}

/**
 * Sets size and metadata and puts the file in its place.
 * @returns what could not be set; the content is in place all the same
 * @throws what keeps the file from its place
 */
export function finishFile(fd: number, task: FileTask): unknown[] {
  // Others may have been longer, and sparse content may end in a hole.
  if (task.mode !== 'whole' || task.zeros !== 'written') truncateFile(fd, task.sizeBytes);
  const failures = applyMetadata(fd, task.metadata, 'file');
  putInPlace(task);
  return failures;
}

/** Gives the file its final name. */
function putInPlace(task: FileTask): void {
  const from = writePlace(task);
  const to = { directory: task.directory, name: task.name };
  if (task.replaces) renameAt(from, to);
  else renameFree(from, to);
}

/** Renames, and replaces nothing. */
function renameFree(from: EntryPlace, to: EntryPlace): void {
  try {
    renameAt(from, to, { replace: false });
  } catch (error) {
    if (isHoldfastError(error, 'FILE_EXISTS')) throw nameTaken(error);
    const code = systemCode(error instanceof Error ? error.cause : undefined);
    if (!noReplaceUnknown.has(code)) throw error;
    if (tryReadKind(to)) throw nameTaken(error);
    renameAt(from, to);
  }
}

function nameTaken(cause?: unknown): HoldfastError {
  return new HoldfastError('TARGET_FAILED', {
    message: 'its name is taken: something made it meanwhile, or two names are one here',
    cause,
  });
}

/** Removes what was written under the temporary name; never a file that was there before. */
export function discardFile(task: FileTask): void {
  if (task.mode === 'update') return;
  try {
    const { directory, name } = writePlace(task);
    unlinkAt(directory, name);
  } catch (error) {
    if (endsWork(error)) throw error;
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
