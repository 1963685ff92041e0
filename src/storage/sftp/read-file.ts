import { assert } from '../../base/assert.ts';
import { throwIfAborted } from '../../base/abort.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { ByteRange } from '../backend.ts';
import type { SftpSession } from './sftp-session.ts';
import type { Attributes } from './wire.ts';
import { openFlags } from './wire.ts';

/** How a file is read. */
export interface ReadOptions {
  /** Absent: the whole file. */
  readonly range?: ByteRange | undefined;
  /** Is asked about the size of a whole file before memory is taken for it. */
  readonly checkSize: (sizeBytes: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** A range up to this size is read without a look at how large the file is. */
const blindSizeBytesMax = 4 << 20;

/**
 * Reads a file or a range of it, with several requests on their way at once.
 *
 * @returns a buffer of its own
 * @throws FILE_NOT_FOUND for what is no file, RANGE_NOT_SATISFIABLE, StatusError
 */
export async function readFile(
  session: SftpSession,
  path: string,
  options: ReadOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const { range, signal } = options;
  const isBlind = range !== undefined && range.end - range.start <= blindSizeBytesMax;
  const [handle, attributes] = await openForReading(session, path, !isBlind);
  try {
    const { start, end } = range ?? { start: 0, end: sizeOf(attributes, path) };
    if (!range) options.checkSize(end);
    if (attributes?.kind !== undefined && attributes.kind !== 'file') throw notFile(path);
    const sizeBytes = attributes?.sizeBytes;
    // Before the allocation: a damaged index must not make us take memory for a file that is not there.
    if (sizeBytes !== undefined && end > sizeBytes) throw tooShort(path, { end, sizeBytes });
    throwIfAborted(signal);
    const target = Buffer.allocUnsafeSlow(end - start);
    const count = await fill(session, handle, { target, start, signal });
    if (count !== target.length) throw tooShort(path, { end, sizeBytes: start + count });
    assert(target.byteOffset === 0, 'the buffer is not pooled');
    return new Uint8Array(target.buffer);
  } finally {
    session.closeHandle(handle).catch(() => {});
  }
}

/** Opens a file and, if wanted, looks at it in the same round trip. */
async function openForReading(
  session: SftpSession,
  path: string,
  withAttributes: boolean,
): Promise<[Buffer, Attributes | undefined]> {
  const looks = withAttributes ? session.stat(path) : undefined;
  looks?.catch(() => {});
  const handle = await session.open(path, openFlags.read);
  try {
    return [handle, await looks];
  } catch (error) {
    session.closeHandle(handle).catch(() => {});
    throw error;
  }
}

interface Filling {
  readonly target: Uint8Array;
  readonly start: number;
  readonly signal: AbortSignal | undefined;
}

/** Fills the target from `start` on. @returns how much of it from its begin is filled, the rest being past the end */
async function fill(
  session: SftpSession,
  handle: Buffer,
  { target, start, signal }: Filling,
): Promise<number> {
  const step = session.limits.readSizeBytes;
  let endOfFile = target.byteLength;
  const readPiece = async (from: number): Promise<void> => {
    const to = Math.min(from + step, target.byteLength);
    let offset = from;
    while (offset < to && offset < endOfFile) {
      throwIfAborted(signal);
      const count = await session.read(handle, start + offset, target.subarray(offset, to));
      if (count === 0) endOfFile = Math.min(endOfFile, offset);
      offset += count;
    }
  };
  const pieces: Promise<void>[] = [];
  for (let from = 0; from < target.byteLength; from += step) pieces.push(readPiece(from));
  await Promise.all(pieces);
  return endOfFile;
}

function sizeOf(attributes: Attributes | undefined, path: string): number {
  if (attributes?.sizeBytes !== undefined) return attributes.sizeBytes;
  throw new HoldfastError('UNSUPPORTED', {
    message: 'the server does not tell the size of a file',
    details: { path },
  });
}

/** The error for a folder or the like in place of a file. */
export function notFile(path: string): HoldfastError {
  return new HoldfastError('FILE_NOT_FOUND', {
    message: 'what has the name of a repository file is no file',
    details: { path },
  });
}

function tooShort(path: string, more: { end: number; sizeBytes: number }): HoldfastError {
  return new HoldfastError('RANGE_NOT_SATISFIABLE', { details: { path, ...more } });
}
