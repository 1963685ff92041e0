import { HoldfastError } from '../base/errors.ts';
import {
  type ByteRange,
  describeHandle,
  type FileHandle,
  type FileStat,
  wholeFileSizeBytesMax,
} from './backend.ts';
import { readBody, readRange } from './http-body.ts';
import type { HttpAnswer, HttpClient, HttpRequest } from './http-client.ts';

/** A file to be read by GET. */
export interface FileRequest {
  readonly handle: FileHandle;
  /** Below the URL of the repository. */
  readonly path: string;
  readonly range: ByteRange | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
  /** The error for an answer that is no success. */
  readonly failureOf: (answer: HttpAnswer) => HoldfastError | Promise<HoldfastError>;
  /** Asks for the size: only where an answer leaves open whether the file is too short or was cut. */
  readonly stat: () => Promise<FileStat>;
}

/** Reads a file or a range of it, as `Backend.get` promises. */
export async function getFile(
  client: HttpClient,
  file: FileRequest,
): Promise<Uint8Array<ArrayBuffer>> {
  const { handle, path, headers, range, signal } = file;
  const request: HttpRequest = {
    method: 'GET',
    path,
    headers,
    file: describeHandle(handle),
    signal,
  };
  if (!range) return await client.exchange(request, (answer) => readWhole(file, answer));
  const { start, end } = range;
  if (start < end) {
    const ranged = { ...request, headers: { ...headers, range: `bytes=${start}-${end - 1}` } };
    const found = await client.exchange(ranged, (answer) => readPart(file, range, answer));
    if (found) return found;
  }
  const { sizeBytes } = await file.stat();
  const details = { file: request.file, sizeBytes, start, end };
  if (sizeBytes < end) throw new HoldfastError('RANGE_NOT_SATISFIABLE', { details });
  if (start === end) return new Uint8Array();
  const message = 'the storage sends less of a file than was asked for';
  throw new HoldfastError('BACKEND_READ_FAILED', { message, details });
}

async function readWhole(
  { handle, failureOf }: FileRequest,
  answer: HttpAnswer,
): Promise<Uint8Array<ArrayBuffer>> {
  if (answer.status !== 200) throw await failureOf(answer);
  const file = describeHandle(handle);
  return await readBody(answer, {
    file,
    sizeBytesMax: wholeFileSizeBytesMax[handle.type],
    tooLarge: () =>
      new HoldfastError('UNPACKED_DAMAGED', {
        message: 'a repository file is too large to be one',
        details: { file, sizeBytes: answer.sizeBytes },
      }),
  });
}

async function readPart(
  { handle, failureOf }: FileRequest,
  range: ByteRange,
  answer: HttpAnswer,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (answer.status !== 200 && answer.status !== 206) throw await failureOf(answer);
  return await readRange(answer, range, describeHandle(handle));
}
