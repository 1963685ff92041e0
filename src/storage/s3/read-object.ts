import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';

import { HoldfastError } from '../../base/errors.ts';
import {
  type ByteRange,
  describeHandle,
  type FileHandle,
  wholeFileSizeBytesMax,
} from '../backend.ts';
import { readBody } from './read-body.ts';

/** Reads the answer to a GET of a file, or of a part of it. @throws RANGE_NOT_SATISFIABLE, BACKEND_READ_FAILED, UNPACKED_DAMAGED */
export async function readObject(
  { Body: body, ContentLength: sizeBytes }: GetObjectCommandOutput,
  handle: FileHandle,
  range: ByteRange | undefined,
): Promise<Uint8Array<ArrayBuffer>> {
  const file = describeHandle(handle);
  if (sizeBytes === undefined) {
    throw new HoldfastError('BACKEND_READ_FAILED', {
      message: 'the storage does not say how large a file is',
      details: { file },
    });
  }
  if (range) {
    const wanted = range.end - range.start;
    if (sizeBytes < wanted) throw tooShort(handle, range.end, range.start + sizeBytes);
    if (sizeBytes > wanted) {
      throw new HoldfastError('BACKEND_READ_FAILED', {
        message: 'the storage sent more than a part of a file',
        details: { file, wanted, sizeBytes },
      });
    }
  } else if (sizeBytes > wholeFileSizeBytesMax[handle.type]) {
    throw new HoldfastError('UNPACKED_DAMAGED', {
      message: 'a repository file is larger than any such file can be',
      details: { file, sizeBytes },
    });
  }
  return await readBody(body, sizeBytes);
}

/** The file ends before what was asked for. */
export function tooShort(handle: FileHandle, end: number, sizeBytes: number): HoldfastError {
  return new HoldfastError('RANGE_NOT_SATISFIABLE', {
    details: { file: describeHandle(handle), end, sizeBytes },
  });
}
