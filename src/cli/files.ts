import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { readWholeFile, writeFileAtomic } from '../platform/whole-file.ts';

/** Largest password or location file. */
const smallFileSizeBytesMax = 1024 * 1024;

/** Permissions of files that commands write for the user. */
const outputFileMode = 0o644;

/** Reads a small file that the user named. @throws USAGE naming what it was meant for */
export function readSmallFile(path: string, purpose: string): Uint8Array {
  try {
    return readWholeFile(Buffer.from(path), { sizeBytesMax: smallFileSizeBytesMax });
  } catch (error) {
    const isMissing = isHoldfastError(error, 'FILE_NOT_FOUND');
    throw new HoldfastError('USAGE', {
      message: isMissing
        ? `the ${purpose} ${JSON.stringify(path)} does not exist`
        : `the ${purpose} ${JSON.stringify(path)} cannot be read`,
      cause: isMissing ? undefined : error,
    });
  }
}

/** Writes a file for the user, whole or not at all. */
export function writeOutputFile(path: string, bytes: Uint8Array): void {
  writeFileAtomic(Buffer.from(path), bytes, outputFileMode);
}
