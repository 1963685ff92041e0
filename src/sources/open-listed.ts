import { HoldfastError } from '../base/errors.ts';
import { openDirectory } from '../platform/directory.ts';
import { closeFile, openFile } from '../platform/files.ts';
import { readStatusOf } from '../platform/status.ts';
import {
  type OpenedFile,
  type OpenRequest,
  openSourceFile,
  openUnlessReplaced,
} from './open-file.ts';

const slash = 0x2f;

/** What identifies a file system object. */
export interface Identity {
  readonly device: number | bigint;
  readonly inode: number | bigint;
}

/** A listed file, and the directory that it was listed in. */
export interface ListedRequest extends OpenRequest {
  /** Absent where the directory is not an entry of the source, such as the root. */
  readonly directory?: Identity | undefined;
}

/**
 * Opens a listed file to be read.
 *
 * A file that an editor replaced by renaming is as good as the listed one: its own status counts. But it
 * must be in the directory that was listed: whoever swaps that for a link elsewhere must not make us
 * store a file of somebody else. So a replaced file is opened anew, below the opened directory.
 * @throws SOURCE_FAILED if it is no regular file or its directory is another one; FILE_NOT_FOUND and kin
 */
export function openListed(file: ListedRequest): OpenedFile {
  const opened = openSourceFile(file, { acceptReplaced: true });
  if (!file.directory || isSame(opened.status, file)) return opened;
  closeFile(opened.fd);
  return openBelow(file.path, file.directory);
}

function openBelow(path: Uint8Array, listed: Identity): OpenedFile {
  const cut = path.lastIndexOf(slash);
  const parent = cut <= 0 ? path.subarray(0, 1) : path.subarray(0, cut);
  const directory = openUnlessReplaced(path, () => openDirectory(parent));
  try {
    if (!isSame(readStatusOf(directory), listed)) throw replaced('its directory was replaced');
    const name = path.subarray(cut + 1);
    const fd = openUnlessReplaced(path, () => openFile({ directory, name }));
    const status = readStatusOf(fd);
    if (status.kind === 'file') return { fd, status };
    closeFile(fd);
    throw replaced(`a ${status.kind} took its place`);
  } finally {
    closeFile(directory);
  }
}

function isSame(a: Identity, b: Identity): boolean {
  return a.inode === b.inode && a.device === b.device;
}

function replaced(what: string): HoldfastError {
  return new HoldfastError('SOURCE_FAILED', {
    message: `${what} while it was being backed up`,
    details: { reason: 'replaced' },
  });
}
