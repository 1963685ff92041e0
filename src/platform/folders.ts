import { mkdirSync, mkdtempSync, realpathSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { HoldfastError, isHoldfastError, systemCode } from '../base/errors.ts';
import { openDirectory, openDirectoryAt } from './directory.ts';
import { closeFile, renameAt, syncFile, unlinkAt } from './file-calls.ts';
import type { EntryPlace } from './place.ts';
import { tryReadKind } from './status.ts';
import { describePlace, fromNodeError, posixCode } from './system-error.ts';
import { system } from './system.ts';

/** Directories held open at once while a tree is removed. */
const removeDepthMax = 64;

/** Codes of file systems that cannot sync a directory; the names are then as safe as they can be. */
const noDirectorySync: ReadonlySet<string | undefined> = new Set(['EINVAL', 'ENOTSUP', 'EBADF']);

/** True if `path` leads to something, links followed. */
export function exists(path: Uint8Array): boolean {
  return tryReadKind(path, { follow: true }) !== undefined;
}

/** The path with all links followed; undefined if it leads to nothing, or nothing that this process can reach. */
export function resolvePath(path: Uint8Array): Uint8Array | undefined {
  try {
    return realpathSync.native(Buffer.from(path), { encoding: 'buffer' });
  } catch {
    return undefined;
  }
}

/**
 * Makes a directory and those above it that are missing; no error if it is there.
 *
 * One by one, and each at most twice: Node's own way (`recursive`) never ends where a directory that exists takes no new
 * ones and says ENOENT, as `/proc` does.
 * @throws FILE_EXISTS, PERMISSION_DENIED, READ_ONLY, STORAGE_FULL, SYSTEM_CALL_FAILED (ENOTDIR, ENOENT)
 */
export function makeDirectories(path: Uint8Array, mode = 0o700): void {
  const missing: Uint8Array[] = [];
  let current = path;
  while (!makeDirectory(current, mode)) {
    const parent = parentOf(current);
    if (parent.equals(current)) throw noDirectoryHere(current);
    missing.push(current);
    current = parent;
  }
  for (const next of missing.toReversed()) {
    if (!makeDirectory(next, mode)) throw noDirectoryHere(next);
  }
}

/** Makes an empty directory that only this user can enter, below `parent` or the system's folder for such. */
export function temporaryDirectory(prefix = 'holdfast-', parent: string = tmpdir()): Uint8Array {
  const path = join(parent, prefix);
  try {
    return mkdtempSync(path, { encoding: 'buffer' });
  } catch (error) {
    throw fromNodeError({ call: 'mkdtemp', place: Buffer.from(path) }, error);
  }
}

/**
 * Removes an entry and all below it, of any depth, never through a link. No error if it is missing.
 * @throws PERMISSION_DENIED, SYSTEM_CALL_FAILED; then a part may be gone
 */
export function removeTree(path: Uint8Array): void {
  if (tryReadKind(path) === undefined) return;
  const { parent, name } = splitPath(path);
  const directory = openDirectory(parent, { noFollow: false });
  try {
    removeEntry({ directory, name });
  } finally {
    closeFile(directory);
  }
}

/**
 * Waits until the names in an opened directory are on stable storage, where the file system can do that.
 * @throws SYSTEM_CALL_FAILED (EIO): the names may be lost
 */
export function syncDirectory(directory: number): void {
  try {
    syncFile(directory);
  } catch (error) {
    const code = posixCode(error);
    const isWindows = process.platform === 'win32' && code === 'EPERM';
    if (!isWindows && !noDirectorySync.has(code)) throw error;
  }
}

/** The directory and the last component of a path, slashes at its end ignored. */
export function splitPath(path: Uint8Array): { parent: Uint8Array; name: Uint8Array } {
  let end = path.length;
  while (end > 1 && path[end - 1] === slash) end--;
  const start = path.subarray(0, end).lastIndexOf(slash) + 1;
  const parent = start === 0 ? Buffer.from('.') : path.subarray(0, start);
  return { parent, name: path.subarray(start, end) };
}

const slash = 0x2f;

/** True if the directory is there now, false if the system says that something above it is missing. */
function makeDirectory(path: Uint8Array, mode: number): boolean {
  const bytes = Buffer.from(path);
  try {
    mkdirSync(bytes, { mode });
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    // A root, or one on a file system that may not be written, is there whatever the code says.
    if (statSync(bytes, { throwIfNoEntry: false })?.isDirectory() === true) return true;
    throw fromNodeError({ call: 'mkdir', place: path }, error);
  }
}

function noDirectoryHere(path: Uint8Array): HoldfastError {
  return new HoldfastError('SYSTEM_CALL_FAILED', {
    message: 'no folder can be made here',
    details: { call: 'mkdir', code: 'ENOENT', path: describePlace(path) },
  });
}

function parentOf(path: Uint8Array): Buffer {
  return Buffer.from(dirname(Buffer.from(path).toString('latin1')), 'latin1');
}

/** The root of a tree being removed, and how many directories have come up to it. */
interface Removal {
  readonly root: number;
  movedCount: number;
}

function removeEntry(place: EntryPlace): void {
  const kind = tryReadKind(place);
  if (kind === undefined) return;
  const isDirectory = kind === 'directory';
  if (isDirectory) {
    const root = openDirectoryAt(place.directory, place.name);
    try {
      const removal = { root, movedCount: 0 };
      let before: number;
      do {
        before = removal.movedCount;
        removeContents(removal, root, 0);
        // Deep directories have come up to the root, so it is not empty.
      } while (removal.movedCount > before);
    } finally {
      closeFile(root);
    }
  }
  unlinkAt(place.directory, place.name, { directory: isDirectory });
}

function removeContents(removal: Removal, directory: number, depth: number): void {
  for (const name of system().list(directory)) {
    const place = { directory, name };
    const kind = tryReadKind(place);
    if (kind === undefined) continue;
    if (kind !== 'directory') unlinkAt(directory, name);
    else if (depth >= removeDepthMax) moveToRoot(removal, place);
    else removeDirectory(removal, place, depth + 1);
  }
}

function removeDirectory(removal: Removal, place: EntryPlace, depth: number): void {
  const opened = openDirectoryAt(place.directory, place.name);
  try {
    removeContents(removal, opened, depth);
  } finally {
    closeFile(opened);
  }
  unlinkAt(place.directory, place.name, { directory: true });
}

/** So that neither the stack nor the open directories grow with the depth of the tree. */
function moveToRoot(removal: Removal, place: EntryPlace): void {
  for (;;) {
    const name = Buffer.from(`.holdfast-removing-${removal.movedCount}`);
    removal.movedCount++;
    try {
      return renameAt(place, { directory: removal.root, name }, { replace: false });
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_EXISTS')) throw error;
    }
  }
}
