import { idSizeBytes } from '../../repository/id.ts';
import { endsWork } from '../../base/errors.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { closeFile, openFile, readAt } from '../../platform/files.ts';
import { readStatusOf } from '../../platform/status.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { dataSizeBytesMax } from '../../repository/blob-open.ts';
import type { ComparedFile, CompareFiles } from './messages.ts';
import type { StopFlag } from './stop-flag.ts';

const unreadable: ComparedFile = {
  matches: new Uint8Array(0),
  isWhole: false,
  canBeRead: false,
};

/**
 * Hashes the parts of a file and compares them with the ids that it should be made of.
 * @throws CANCELLED once `stop` is set
 */
export function compareFile(
  index: BlobIndex,
  file: CompareFiles['files'][number],
  stop: StopFlag,
): ComparedFile {
  let fd: number;
  try {
    fd = openFile({ directory: file.directory, name: file.name });
  } catch (error) {
    if (endsWork(error)) throw error;
    return unreadable;
  }
  try {
    const status = readStatusOf(fd);
    if (status.kind !== 'file') return unreadable;
    const { matches, sizeBytes } = compareBlobs(index, { fd, content: file.content }, stop);
    const isWhole = sizeBytes === status.sizeBytes && matches.every((match) => match === 1);
    return { matches, isWhole, canBeRead: true };
  } catch (error) {
    if (endsWork(error)) throw error;
    return unreadable;
  } finally {
    closeFile(fd);
  }
}

/** @returns what matches, and the sum of the blobs, undefined if one of them is not known */
function compareBlobs(
  index: BlobIndex,
  { fd, content }: { readonly fd: number; readonly content: Uint8Array },
  stop: StopFlag,
): { readonly matches: Uint8Array; readonly sizeBytes: number | undefined } {
  const matches = new Uint8Array(content.byteLength / idSizeBytes);
  let sizeBytes = 0;
  for (let i = 0; i < matches.length; i++) {
    // A large file takes minutes.
    stop.throwIfSet();
    const entry = index.find('data', content, i * idSizeBytes);
    // The size of an unknown blob is unknown, and so is where the next one starts.
    if (entry < 0) return { matches, sizeBytes: undefined };
    const size = index.plainSizeOf(entry);
    if (size > dataSizeBytesMax) return { matches, sizeBytes: undefined };
    const id = content.subarray(i * idSizeBytes, (i + 1) * idSizeBytes);
    matches[i] = holds(fd, { offset: sizeBytes, size }, id) ? 1 : 0;
    sizeBytes += size;
  }
  return { matches, sizeBytes };
}

let buffer = new Uint8Array(1 << 20);

function holds(fd: number, at: { offset: number; size: number }, id: Uint8Array): boolean {
  if (at.size > buffer.byteLength) buffer = new Uint8Array(at.size);
  const bytes = buffer.subarray(0, at.size);
  for (let done = 0; done < at.size; ) {
    const count = readAt(fd, bytes.subarray(done), at.offset + done);
    if (count === 0) return false;
    done += count;
  }
  const digest = sha256(bytes);
  return digest.every((byte, i) => byte === id[i]);
}
