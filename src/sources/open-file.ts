import { HoldfastError } from '../base/errors.ts';
import { closeFile, openFile } from '../platform/files.ts';
import { printablePath } from '../platform/place.ts';
import { type FileStatus, readStatusOf } from '../platform/status.ts';
import { posixCode } from '../platform/system-error.ts';

/** What a thread needs to open one regular file of a source; plain data that can be posted. */
export interface OpenRequest {
  readonly path: Uint8Array;
  readonly device: number | bigint;
  readonly inode: number | bigint;
}

/** An open regular file and its status at that moment. The caller closes `fd`. */
export interface OpenedFile {
  readonly fd: number;
  readonly status: FileStatus;
}

/** The request that opens an entry of a source, also in another thread. */
export function openRequestOf(entry: {
  readonly path: Uint8Array;
  readonly status: FileStatus;
}): OpenRequest {
  const { device, inode } = entry.status;
  return { path: entry.path, device, inode };
}

/**
 * Opens a regular file for reading without following a link and without waiting (a FIFO or device that took its place
 * is refused), and makes sure that it is the file of the request.
 *
 * Paths longer than PATH_MAX are walked in pieces.
 * @param options acceptReplaced: another regular file under the same name is fine; the caller must use the status returned
 * @throws SOURCE_FAILED with details.reason 'replaced' if something else has its place; FILE_NOT_FOUND if it is gone;
 * SYSTEM_CALL_FAILED
 */
export function openSourceFile(
  request: OpenRequest,
  options: { readonly acceptReplaced?: boolean } = {},
): OpenedFile {
  const fd = openUnlessReplaced(request.path, () => openFile(request.path));
  try {
    const status = readStatusOf(fd);
    const isSame = status.inode === request.inode && status.device === request.device;
    if (status.kind !== 'file' || !(isSame || options.acceptReplaced)) {
      throw replacedError(request.path);
    }
    return { fd, status };
  } catch (error) {
    closeFile(fd);
    throw error;
  }
}

/** The error for an entry that is something else than it was when it was listed. */
export function replacedError(path: Uint8Array, cause?: unknown): HoldfastError {
  return new HoldfastError('SOURCE_FAILED', {
    message: 'a source was replaced by something else while it was read',
    details: { path: printablePath(path), reason: 'replaced' },
    cause,
  });
}

/** Codes of opening what is something else by now: a link, a FIFO or device without its other end, no directory. */
const replacedCodes: ReadonlySet<string> = new Set(['ELOOP', 'ENXIO', 'ENOTDIR']);

/**
 * Opens what was listed at `path`, or on the way to it.
 * @throws SOURCE_FAILED with details.reason 'replaced' if something else has its place; what `open` throws
 */
export function openUnlessReplaced(path: Uint8Array, open: () => number): number {
  try {
    return open();
  } catch (error) {
    if (replacedCodes.has(posixCode(error) ?? '')) throw replacedError(path, error);
    throw error;
  }
}
