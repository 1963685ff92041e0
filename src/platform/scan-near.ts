import { isHoldfastError } from '../base/errors.ts';
import { packDirectory } from './directory.ts';
import { type PackedDirectory, ScanPacker, ScanReader } from './packed-scan.ts';
import type { FileStatus } from './status.ts';

const packer = new ScanPacker();

/**
 * Reads an opened directory in this thread, as `ScanAhead` does in another.
 * @param status of it
 * @returns undefined for one that is large, or with anything unusual about it: to be read in the ordinary way
 */
export function scanNearPacked(directory: number, status: FileStatus): PackedDirectory | undefined {
  let isPacked = false;
  try {
    isPacked = packer.begin(status) && packDirectory(directory, packer);
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
  } finally {
    if (isPacked) packer.end();
    else packer.drop();
  }
  return new ScanReader(packer.finish()).next();
}
