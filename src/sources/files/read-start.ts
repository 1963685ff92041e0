import { closeFile, type EntryPlace, openFile, readAt } from '../../platform/files.ts';
import { readStatusOf } from '../../platform/status.ts';

/**
 * The first bytes of a regular file, fewer if it is shorter; none if it is something else by now. Never follows a link
 * and never waits.
 * @throws FILE_NOT_FOUND, PERMISSION_DENIED, SYSTEM_CALL_FAILED
 */
export function readStart(place: EntryPlace, sizeBytes: number): Uint8Array {
  const file = openFile(place);
  try {
    if (readStatusOf(file).kind !== 'file') return new Uint8Array(0);
    const bytes = new Uint8Array(sizeBytes);
    let done = 0;
    while (done < sizeBytes) {
      const count = readAt(file, bytes.subarray(done), done);
      if (count === 0) break;
      done += count;
    }
    return bytes.subarray(0, done);
  } finally {
    closeFile(file);
  }
}
