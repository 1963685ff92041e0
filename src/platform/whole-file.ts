import { concatBytes } from '../base/bytes.ts';
import { HoldfastError } from '../base/errors.ts';
import { setMode } from './attributes.ts';
import { DraftFile } from './draft-file.ts';
import { closeFile, openFile, readAt, writeAt } from './file-calls.ts';
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
  const draft = DraftFile.create(path);
  try {
    setMode(draft.file, mode);
    writeAt(draft.file, bytes);
    draft.publish();
  } finally {
    draft.discard();
  }
}

function tooLarge(path: Uint8Array, sizeBytesMax: number): HoldfastError {
  return new HoldfastError('SYSTEM_CALL_FAILED', {
    message: 'a file is larger than it may be',
    details: { call: 'read', code: 'EFBIG', path: describePlace(path), sizeBytesMax },
  });
}
