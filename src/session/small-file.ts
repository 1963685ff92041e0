import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { readWholeFile } from '../platform/whole-file.ts';

/** Largest password or location file. */
const smallFileSizeBytesMax: number = 1024 * 1024;

/** Reads a small file that the user named. @throws USAGE naming what it was meant for */
export function readSmallFile(
  path: string,
  purpose: string,
  sizeBytesMax: number = smallFileSizeBytesMax,
): Uint8Array {
  try {
    return readWholeFile(Buffer.from(path), { sizeBytesMax });
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
