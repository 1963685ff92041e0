import { concatBytes } from '../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { setMode } from './attributes.ts';
import { openDirectory } from './directory.ts';
import {
  closeFile,
  openFile,
  readAt,
  renameAt,
  syncFile,
  unlinkAt,
  writeAt,
} from './file-calls.ts';
import { splitPath, syncDirectory } from './folders.ts';
import type { EntryPlace } from './place.ts';
import { describePlace } from './system-error.ts';

const readSizeBytes = 64 << 10;

/**
 * All bytes of a small file, such as one with settings or a password. Follows links and waits for a FIFO's writer,
 * so that `<(command)` of a shell works.
 * @throws FILE_NOT_FOUND, PERMISSION_DENIED, SYSTEM_CALL_FAILED (also if it is larger than `sizeBytesMax`)
 */
export function readWholeFile(
  path: Uint8Array,
  options: { readonly sizeBytesMax: number },
): Uint8Array<ArrayBuffer> {
  const file = openFile(path, { noFollow: false, nonBlocking: false });
  try {
    const parts: Uint8Array[] = [];
    let sizeBytes = 0;
    for (;;) {
      const part = new Uint8Array(readSizeBytes);
      const count = readAt(file, part);
      if (count === 0) return concatBytes(parts);
      sizeBytes += count;
      if (sizeBytes > options.sizeBytesMax) throw tooLarge(path, options.sizeBytesMax);
      parts.push(part.subarray(0, count));
    }
  } finally {
    closeFile(file);
  }
}

/**
 * Replaces or makes a file: afterwards, also after a crash, it holds the old bytes or the new ones, never a part.
 * The new ones are on stable storage when this returns.
 * @param mode permissions, exactly
 * @throws STORAGE_FULL, PERMISSION_DENIED, FILE_NOT_FOUND (the directory), SYSTEM_CALL_FAILED; then the old file stands
 */
export function writeFileAtomic(path: Uint8Array, bytes: Uint8Array, mode = 0o600): void {
  const { parent, name } = splitPath(path);
  const directory = openDirectory(parent, { noFollow: false });
  try {
    const draft = writeDraft(directory, bytes, mode);
    try {
      renameAt(draft, { directory, name });
    } catch (error) {
      discard(draft);
      throw error;
    }
    syncDirectory(directory);
  } finally {
    closeFile(directory);
  }
}

/** Writes and syncs a file of its own name in the directory. */
function writeDraft(directory: number, bytes: Uint8Array, mode: number): EntryPlace {
  const { file, place } = createDraft(directory);
  let isDone = false;
  try {
    setMode(file, mode);
    writeAt(file, bytes);
    syncFile(file);
    isDone = true;
  } finally {
    closeFile(file);
    if (!isDone) discard(place);
  }
  return place;
}

function createDraft(directory: number): { file: number; place: EntryPlace } {
  for (let attempt = 0; ; attempt++) {
    const place = { directory, name: Buffer.from(`.holdfast-tmp-${process.pid}-${attempt}`) };
    try {
      return { file: openFile(place, { write: true, create: true, exclusive: true }), place };
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_EXISTS')) throw error;
    }
  }
}

/** Removes a draft after a failure, which is the error that counts. */
function discard({ directory, name }: EntryPlace): void {
  try {
    unlinkAt(directory, name);
  } catch {
    // The failure before this one is on its way to the caller.
  }
}

function tooLarge(path: Uint8Array, sizeBytesMax: number): HoldfastError {
  return new HoldfastError('SYSTEM_CALL_FAILED', {
    message: 'a file is larger than it may be',
    details: { call: 'read', code: 'EFBIG', path: describePlace(path), sizeBytesMax },
  });
}
