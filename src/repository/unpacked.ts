import { equalBytes, toHex } from '../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { releaseBuffer } from '../base/release.ts';
import { sha256 } from '../kernels/sha256.ts';
import type { Sealer } from '../kernels/seal.ts';
import {
  type Compressor,
  compressBound,
  Decompressor,
  decompressUnknown,
} from '../kernels/zstd.ts';
import { visitZstdFrames } from '../kernels/zstd-frames.ts';
import type { Backend, CallOptions, FileType } from '../storage/backend.ts';
import type { Id } from './id.ts';

/** The file types that hold one sealed JSON document. */
export type UnpackedType = 'index' | 'snapshot' | 'lock';

/** What sealing and opening of unpacked files needs of a repository. */
export interface UnpackedTools {
  readonly version: 1 | 2;
  readonly sealer: Sealer;
  /** Version 2 compresses every unpacked file, whatever the compression of blobs. */
  readonly compressor: () => Compressor;
}

/** A document ready to be stored. */
export interface SealedDocument {
  /** SHA-256 of `sealed`, in hex: its file name. */
  readonly id: Id;
  readonly sealed: Uint8Array<ArrayBuffer>;
}

/**
 * Largest plain document by type. Above everything seen in practice (an index file of 50,000 blobs has 10 MiB,
 * a snapshot of 100,000 paths 20 MiB), far below what would exhaust the memory of a small machine.
 */
export const documentSizeBytesMax: Readonly<Record<UnpackedType, number>> = {
  index: 512 * 1024 * 1024,
  snapshot: 128 * 1024 * 1024,
  lock: 1024 * 1024,
};

/**
 * Plain bytes from which on a document is compressed in several frames, which for every reader are one content (RFC 8878,
 * section 3.1), and how many a frame has. An index file of one pack of very small blobs has 25 MB: frames are proven one
 * by one, in little memory.
 */
const framedSizeBytesMin: number = 16 << 20;
const frameSizeBytes: number = 2 << 20;
/** First byte of a document of version 2. */
export const compressedMark = 0x02;
const objectMark = 0x7b;
const arrayMark = 0x5b;

/**
 * Seals a JSON document, and opens the result again before anybody relies on it: compressors and memory have
 * produced undecodable files in the field.
 * @throws VERIFY_FAILED when what comes back differs
 * @see docs/FORMAT.md#unpacked-files
 */
export function sealDocument(
  tools: UnpackedTools,
  type: UnpackedType,
  json: Uint8Array,
): SealedDocument {
  const compressed = tools.version === 1 ? undefined : compressDocument(tools, json);
  const sealed = tools.sealer.seal(compressed ?? json);
  if (compressed) releaseBuffer(compressed.buffer);
  const id = toHex(sha256(sealed));
  if (!opensTo(tools, type, sealed, json)) {
    throw new HoldfastError('VERIFY_FAILED', { details: { type, id } });
  }
  return { id, sealed };
}

/** In one frame, as all programs do, but for a document that is larger than those of others. */
function compressDocument(tools: UnpackedTools, json: Uint8Array): Uint8Array<ArrayBuffer> {
  const isLarge = json.byteLength > framedSizeBytesMin;
  const step = isLarge ? frameSizeBytes : Math.max(1, json.byteLength);
  const frameCount = Math.max(1, Math.ceil(json.byteLength / step));
  const target = new Uint8Array(1 + frameCount * compressBound(step));
  target[0] = compressedMark;
  let end = 1;
  for (let frame = 0; frame < frameCount; frame++) {
    const part = json.subarray(frame * step, (frame + 1) * step);
    end += tools.compressor().compress(part, target.subarray(end));
  }
  return target.subarray(0, end);
}

function opensTo(
  tools: UnpackedTools,
  type: UnpackedType,
  sealed: Uint8Array,
  json: Uint8Array,
): boolean {
  try {
    const isLarge = tools.version === 2 && json.byteLength > framedSizeBytesMin;
    if (isLarge) return opensInFrames(tools.sealer.open(sealed), json);
    const opened = openDocument(tools, type, sealed);
    const isSame = equalBytes(opened, json);
    releaseBuffer(opened.buffer);
    return isSame;
  } catch (error) {
    if (isHoldfastError(error, 'SEAL_BROKEN', 'COMPRESSION_BROKEN', 'UNPACKED_DAMAGED'))
      return false;
    throw error;
  }
}

/** As `opensTo` for a document of frames: one after the other. @param plain is used up */
function opensInFrames(plain: Uint8Array<ArrayBuffer>, json: Uint8Array): boolean {
  const decompressor = new Decompressor();
  const frames = plain.subarray(1);
  const room = new Uint8Array(frameSizeBytes);
  let start = 0;
  let done = 0;
  let isSame = plain[0] === compressedMark;
  visitZstdFrames(frames, ({ end }) => {
    const size = decompressor.decompress(frames.subarray(start, end), room);
    isSame &&= equalBytes(room.subarray(0, size), json.subarray(done, done + size));
    start = end;
    done += size;
  });
  releaseBuffer(plain.buffer);
  releaseBuffer(room.buffer);
  return isSame && done === json.byteLength;
}

/**
 * Opens the stored bytes of an unpacked file.
 * @returns the JSON document
 * @throws SEAL_BROKEN, COMPRESSION_BROKEN (also for documents above the limit of their type), UNPACKED_DAMAGED
 */
export function openDocument(
  tools: UnpackedTools,
  type: UnpackedType,
  sealed: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const plain = tools.sealer.open(sealed);
  const mark = plain[0];
  if (mark === undefined || mark === objectMark || mark === arrayMark) return plain;
  if (tools.version === 1 || mark !== compressedMark) {
    throw new HoldfastError('UNPACKED_DAMAGED', {
      message: 'a repository file does not begin as a document of this format version',
      details: { type, version: tools.version, firstByte: mark },
    });
  }
  try {
    return decompressUnknown(plain.subarray(1), documentSizeBytesMax[type]);
  } finally {
    releaseBuffer(plain.buffer);
  }
}

/**
 * Reads a content-addressed file whole and checks its name, twice if need be: bytes are also lost on the way.
 * @throws FILE_NOT_FOUND; UNPACKED_DAMAGED when the second reading does not fit the name either
 */
export async function getVerified(
  backend: Backend,
  handle: { readonly type: FileType; readonly name: Id },
  options: CallOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const first = await backend.get(handle, undefined, options);
  if (toHex(sha256(first)) === handle.name) return first;
  const second = await backend.get(handle, undefined, { ...options, fresh: true });
  if (toHex(sha256(second)) === handle.name) return second;
  const what = fileOf(handle.type);
  throw new HoldfastError('UNPACKED_DAMAGED', {
    message:
      second.byteLength === 0
        ? `${what} is empty`
        : `${what} does not hold the bytes it is named after`,
    details: { type: handle.type, id: handle.name, sizeBytes: second.byteLength },
  });
}

/**
 * Stores a content-addressed file. A put that was repeated after a lost answer finds its own file: that is success
 * if the bytes are the same.
 * @throws what `Backend.put` throws
 */
export async function putContent(
  backend: Backend,
  handle: { readonly type: FileType; readonly name: Id },
  bytes: Uint8Array,
  options: CallOptions = {},
): Promise<void> {
  try {
    await backend.put(handle, [bytes], options);
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_EXISTS')) throw error;
    const existing = await backend.get(handle, undefined, { ...options, fresh: true });
    if (!equalBytes(existing, bytes)) throw error;
  }
}

/** Stores a content-addressed file and makes sure that it is there, whole. @throws as `putContent`, `confirmStored` */
export async function putConfirmed(
  backend: Backend,
  file: { readonly type: FileType; readonly name: Id; readonly bytes: Uint8Array },
  options: CallOptions = {},
): Promise<void> {
  const { bytes, ...handle } = file;
  await putContent(backend, handle, bytes, options);
  await confirmStored(backend, { ...handle, sizeBytes: bytes.byteLength }, options);
}

/**
 * Asks the storage whether it has a file that it reported stored, whole: an answer is not always the truth, and what
 * is built on a file that is not there cannot be restored. One call. A file of another size is removed again.
 * @throws BACKEND_WRITE_FAILED if it is missing or has another size; what `Backend.stat` throws
 */
export async function confirmStored(
  backend: Backend,
  file: { readonly type: FileType; readonly name: Id; readonly sizeBytes: number },
  options: CallOptions = {},
): Promise<void> {
  const { sizeBytes, ...handle } = file;
  let stored: number | undefined;
  try {
    stored = (await backend.stat(handle, options)).sizeBytes;
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
  }
  if (stored === sizeBytes) return;
  const what = fileOf(handle.type);
  // A part of a file under its name would be damage to every program; nothing refers to it yet.
  if (stored !== undefined) await backend.remove(handle, options).catch(() => undefined);
  throw new HoldfastError('BACKEND_WRITE_FAILED', {
    message:
      stored === undefined
        ? `the storage reported ${what} stored, but does not have it`
        : `the storage reported ${what} stored, but has another size of it`,
    details: { type: handle.type, id: handle.name, sizeBytes, storedSizeBytes: stored },
    hint: 'Nothing that refers to it was stored. Check the storage, then run the command again.',
  });
}

/**
 * Removes a file that must be gone for good, and asks the storage whether it is: some keep what they report removed.
 * @throws BACKEND_WRITE_FAILED if it is still there; what `Backend.remove` and `Backend.stat` throw
 */
export async function removeSurely(
  backend: Backend,
  handle: { readonly type: FileType; readonly name: Id },
  options: CallOptions = {},
): Promise<void> {
  await backend.remove(handle, options);
  try {
    await backend.stat(handle, options);
  } catch (error) {
    if (isHoldfastError(error, 'FILE_NOT_FOUND')) return;
    throw error;
  }
  throw new HoldfastError('BACKEND_WRITE_FAILED', {
    message: `the storage reported ${fileOf(handle.type)} removed, but still has it`,
    details: { type: handle.type, id: handle.name },
    hint: 'Check the storage, then run the command again.',
  });
}

/** `a key file`, `an index file`: what a message calls a file of this type. */
export function fileOf(type: FileType): string {
  return type === 'index' ? 'an index file' : `a ${type} file`;
}
