import { assert } from '../base/assert.ts';
import { equalBytes, toHex } from '../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { releaseBuffer } from '../base/release.ts';
import { sha256 } from '../kernels/sha256.ts';
import { type Sealer, sealOverheadBytes, sealStartBytes } from '../kernels/seal.ts';
import {
  type Compressor,
  compressBound,
  Decompressor,
  decompressUnknown,
} from '../kernels/zstd.ts';
import {
  type Backend,
  type CallOptions,
  type FileHandle,
  type FileType,
  getIfThere,
  type PutOptions,
} from '../storage/backend.ts';
import type { Id } from './id.ts';
import { readings, readUntilSound } from './readings.ts';

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
export const framedSizeBytesMin: number = 16 << 20;
/** The most plain bytes of one frame of a document that has several: see `framedSizeBytesMin`. */
export const frameSizeBytes: number = 2 << 20;
/** First byte of a document of version 2. */
export const compressedMark = 0x02;
const objectMark = 0x7b;
const arrayMark = 0x5b;

/** A document above `framedSizeBytesMin` that is made piece by piece, for who has not the room for all of it. */
export interface DocumentPieces {
  /** The most bytes that all of it has. */
  readonly sizeBytesMax: number;
  /**
   * Pieces of at most `frameSizeBytes`, each valid until the next one. The same each time: once to be sealed, once to be
   * compared.
   */
  readonly pieces: () => Iterable<Uint8Array>;
}

/**
 * Seals a JSON document, and opens the result again before anybody relies on it: compressors and memory have
 * produced undecodable files in the field.
 * @throws VERIFY_FAILED when what comes back differs
 * @see docs/FORMAT.md#unpacked-files
 */
export function sealDocument(
  tools: UnpackedTools,
  type: UnpackedType,
  document: Uint8Array | DocumentPieces,
): SealedDocument {
  const isWhole = document instanceof Uint8Array;
  if (tools.version === 2) {
    const isLarge = !isWhole || document.byteLength > framedSizeBytesMin;
    if (isLarge) return sealInFrames(tools, type, isWhole ? piecesOf(document) : document);
  }
  const json = isWhole
    ? document
    : Buffer.concat(Array.from(document.pieces(), (piece) => piece.slice()));
  const compressed = tools.version === 1 ? undefined : compressDocument(tools, json);
  const sealed = tools.sealer.seal(compressed ?? json);
  if (compressed) releaseBuffer(compressed.buffer);
  const id = toHex(sha256(sealed));
  if (!opensTo(tools, type, sealed, json)) {
    throw new HoldfastError('VERIFY_FAILED', { details: { type, id } });
  }
  return { id, sealed };
}

/** In one frame, as all programs do. */
function compressDocument(tools: UnpackedTools, json: Uint8Array): Uint8Array<ArrayBuffer> {
  const target = new Uint8Array(1 + compressBound(json.byteLength));
  target[0] = compressedMark;
  const size = tools.compressor().compress(json, target.subarray(1));
  return target.subarray(0, 1 + size);
}

function opensTo(
  tools: UnpackedTools,
  type: UnpackedType,
  sealed: Uint8Array,
  json: Uint8Array,
): boolean {
  return isProven(() => {
    const opened = openDocument(tools, type, sealed);
    const isSame = equalBytes(opened, json);
    releaseBuffer(opened.buffer);
    return isSame;
  });
}

/** False also where nothing can be opened. */
function isProven(opensToSame: () => boolean): boolean {
  try {
    return opensToSame();
  } catch (error) {
    if (isHoldfastError(error, 'SEAL_BROKEN', 'COMPRESSION_BROKEN', 'UNPACKED_DAMAGED'))
      return false;
    throw error;
  }
}

function piecesOf(json: Uint8Array): DocumentPieces {
  function* pieces(): Generator<Uint8Array, void, void> {
    for (let start = 0; start < json.byteLength; start += frameSizeBytes) {
      yield json.subarray(start, start + frameSizeBytes);
    }
  }
  return { sizeBytesMax: json.byteLength, pieces };
}

/** As `sealDocument`, in as many frames as pieces. Takes little more memory than the sealed document. */
function sealInFrames(
  tools: UnpackedTools,
  type: UnpackedType,
  document: DocumentPieces,
): SealedDocument {
  // Of what is not written to the system gives no memory.
  const roomBytes = compressBound(document.sizeBytesMax) + 2 * compressBound(frameSizeBytes);
  const target = new Uint8Array(sealOverheadBytes + 1 + roomBytes);
  const plain = target.subarray(sealStartBytes);
  plain[0] = compressedMark;
  let end = 1;
  const ends: number[] = [];
  for (const piece of document.pieces()) {
    assert(piece.byteLength <= frameSizeBytes, 'a piece fits a frame');
    end += tools.compressor().compress(piece, plain.subarray(end));
    ends.push(end);
  }
  const sealed = target.subarray(0, tools.sealer.sealInPlace(target, 0, end));
  const id = toHex(sha256(sealed));
  if (!isProven(() => opensInFrames(tools, { sealed, ends }, document))) {
    throw new HoldfastError('VERIFY_FAILED', { details: { type, id } });
  }
  return { id, sealed };
}

/** Whether the frames of a sealed document, which end at `ends` of what is sealed, are its pieces. */
function opensInFrames(
  { sealer }: UnpackedTools,
  { sealed, ends }: { readonly sealed: Uint8Array; readonly ends: readonly number[] },
  document: DocumentPieces,
): boolean {
  const decompressor = new Decompressor();
  const room = new Uint8Array(frameSizeBytes);
  const frameRoom = new Uint8Array(compressBound(frameSizeBytes) + sealOverheadBytes);
  const partAt = sealer.openParts(sealed);
  let isSame = partAt(0, 1, frameRoom)[0] === compressedMark;
  let start = 1;
  let count = 0;
  for (const piece of document.pieces()) {
    const end = ends[count++] ?? start;
    const size = decompressor.decompress(partAt(start, end, frameRoom), room);
    isSame &&= equalBytes(room.subarray(0, size), piece);
    start = end;
  }
  releaseBuffer(room.buffer);
  releaseBuffer(frameRoom.buffer);
  return isSame && count === ends.length && start === sealed.byteLength - sealOverheadBytes;
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
  return readUntilSound(
    async ({ fresh }) => {
      const bytes = await backend.get(handle, undefined, { ...options, fresh });
      if (toHex(sha256(bytes)) === handle.name) return bytes;
      throw misnamed(handle, bytes.byteLength);
    },
    (error) => isHoldfastError(error, 'UNPACKED_DAMAGED'),
  );
}

function misnamed(
  handle: { readonly type: FileType; readonly name: Id },
  sizeBytes: number,
): HoldfastError {
  const what = fileOf(handle.type);
  return new HoldfastError('UNPACKED_DAMAGED', {
    message:
      sizeBytes === 0 ? `${what} is empty` : `${what} does not hold the bytes it is named after`,
    details: { type: handle.type, id: handle.name, sizeBytes },
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
  options: Omit<PutOptions, 'replace'> = {},
): Promise<void> {
  try {
    await backend.put(handle, [bytes], options);
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_EXISTS')) throw error;
    for (const _ of readings) {
      const existing = await getIfThere(backend, handle, { ...options, fresh: true });
      // Removed since by somebody who took it for left behind.
      if (!existing) return backend.put(handle, [bytes], options);
      if (equalBytes(existing, bytes)) return;
    }
    throw error;
  }
}

/**
 * Stores a content-addressed file and makes sure that it is there, whole: asks the storage, unless that told what it has.
 * @throws as `putContent`, `confirmStored`
 */
export async function putConfirmed(
  backend: Backend,
  file: FileHandle & { readonly bytes: Uint8Array },
  options: CallOptions = {},
): Promise<void> {
  const { bytes, ...handle } = file;
  const told = { isChecked: false };
  const onChecked = (): void => {
    told.isChecked = true;
  };
  await putContent(backend, handle, bytes, { ...options, onChecked });
  if (told.isChecked) return;
  await confirmStored(backend, { ...handle, sizeBytes: bytes.byteLength }, options);
}

/**
 * Asks the storage whether it has a file that it reported stored, whole: an answer is not always the truth, and what
 * is built on a file that is not there cannot be restored. One call. A file of another size is removed again.
 * @throws BACKEND_WRITE_FAILED if it is missing or has another size; what `Backend.stat` throws
 */
export async function confirmStored(
  backend: Backend,
  file: FileHandle & { readonly sizeBytes: number },
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
