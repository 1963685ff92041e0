import { isHoldfastError } from '../../base/errors.ts';
import { sealOverheadBytes } from '../../kernels/seal.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { closeFile, openFile, readAt } from '../../platform/files.ts';
import { readStatusOf } from '../../platform/status.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import type { CompareFiles } from './messages.ts';

const idSizeBytes = 32;

/** Bytes of a blob once it is opened. */
export function plainSizeOf(index: BlobIndex, entry: number): number {
  const plain = index.uncompressedLengthOf(entry);
  return plain > 0 ? plain : index.lengthOf(entry) - sealOverheadBytes;
}

/** How a file agrees with what it should hold. */
export interface Compared {
  /** One byte a blob: 1 if it is there; empty if the file is not a regular one that can be read. */
  readonly matches: Uint8Array;
  readonly sizeMatches: boolean;
}

/** Hashes the parts of a file and compares them with the ids that it should be made of. */
export function compareFile(index: BlobIndex, file: CompareFiles['files'][number]): Compared {
  let fd: number;
  try {
    fd = openFile({ directory: file.directory, name: file.name });
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    return { matches: new Uint8Array(0), sizeMatches: false };
  }
  try {
    const status = readStatusOf(fd);
    if (status.kind !== 'file') return { matches: new Uint8Array(0), sizeMatches: false };
    return {
      matches: compareBlobs(index, fd, file.content),
      sizeMatches: status.sizeBytes === file.sizeBytes,
    };
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
    return { matches: new Uint8Array(0), sizeMatches: false };
  } finally {
    closeFile(fd);
  }
}

function compareBlobs(index: BlobIndex, fd: number, content: Uint8Array): Uint8Array {
  const matches = new Uint8Array(content.byteLength / idSizeBytes);
  let offset = 0;
  for (let i = 0; i < matches.length; i++) {
    const entry = index.find('data', content, i * idSizeBytes);
    // The size of an unknown blob is unknown, and so is where the next one starts.
    if (entry < 0) break;
    const size = plainSizeOf(index, entry);
    matches[i] = holds(fd, { offset, size }, content.subarray(i * idSizeBytes)) ? 1 : 0;
    offset += size;
  }
  return matches;
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
