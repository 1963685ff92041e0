import path from 'node:path';
import { equalBytes } from '../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { Id } from '../repository/id.ts';
import { readWholeFile, writeFileAtomic } from '../platform/whole-file.ts';

/** Files of one pack that may be kept side by side: each repair of a pack that goes on rotting adds one. */
const keptMax = 1000;
const keptFileMode = 0o600;

/**
 * Writes the bytes of a damaged pack to `pack-ID` in a folder, as restic does in the working directory; another file of
 * that name is left alone, and the next is `pack-ID-2`.
 * @returns the path
 * @throws PERMISSION_DENIED, STORAGE_FULL and kin
 */
export function keepPack(folder: string, id: Id, bytes: Uint8Array): string {
  for (let number = 1; number < keptMax; number++) {
    const place = path.join(folder, number === 1 ? `pack-${id}` : `pack-${id}-${number}`);
    const existing = contentOf(place, bytes.byteLength);
    if (existing === 'none') writeFileAtomic(Buffer.from(place), bytes, keptFileMode);
    if (existing === 'none' || (existing !== 'other' && equalBytes(existing, bytes))) return place;
  }
  throw new HoldfastError('FILE_EXISTS', {
    message: `there are ${keptMax} files named pack-${id} in ${folder}`,
    hint: 'Move them away, then run the command again.',
  });
}

function contentOf(place: string, sizeBytesMax: number): Uint8Array | 'none' | 'other' {
  try {
    return readWholeFile(Buffer.from(place), { sizeBytesMax });
  } catch (error) {
    return isHoldfastError(error, 'FILE_NOT_FOUND') ? 'none' : 'other';
  }
}
