import { idSizeBytes } from './id.ts';
import { assert } from '../base/assert.ts';
import { equalBytes } from '../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import { type Sealer, sealOverheadBytes } from '../kernels/seal.ts';
import type { ByteRange } from '../storage/backend.ts';
import { type PackedBlob, PackedBlobs, recordWords, treeFlag } from './blob.ts';

/** Bytes behind the sealed header: its length as a 32-bit number. */
const lengthSizeBytes = 4;
/** Largest sealed header. */
export const packHeaderSizeBytesMax: number = 16 << 20;
/** Header entry of a plain blob: type, length, id. */
const plainEntrySizeBytes = 37;
/** Header entry of a compressed blob: type, length, plain length, id. */
export const compressedEntrySizeBytes = 41;
/** Smallest file that is a pack: one plain blob's header entry, sealed, and the length. */
const packSizeBytesMin = 73;
/** First read of an unknown header: 15 entries. Longer headers take a second read. */
const firstReadSizeBytes: number =
  15 * compressedEntrySizeBytes + sealOverheadBytes + lengthSizeBytes;
/** What a pack takes besides its blobs and their header entries. */
export const packOverheadBytes: number = sealOverheadBytes + lengthSizeBytes;

/** Bytes that a blob takes in the header. */
export function headerEntrySizeBytes(blob: Pick<PackedBlob, 'uncompressedLength'>): number {
  return blob.uncompressedLength > 0 ? compressedEntrySizeBytes : plainEntrySizeBytes;
}

/** Size of the pack file that holds exactly `blobs`. */
export function packSizeOf(
  blobs: Iterable<Pick<PackedBlob, 'length' | 'uncompressedLength'>>,
): number {
  let size = packOverheadBytes;
  for (const blob of blobs) size += blob.length + headerEntrySizeBytes(blob);
  return size;
}

/**
 * Writes the plain header of `blobs`, which lie in a pack without gaps, to `target`; returns its length.
 * @param part which of the blobs; default: all
 */
export function encodePackHeader(
  blobs: PackedBlobs,
  target: Uint8Array,
  part: { readonly first: number; readonly end: number } = { first: 0, end: blobs.count },
): number {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
  const words = new Uint32Array(blobs.bytes.buffer, blobs.bytes.byteOffset, blobs.bytes.length / 4);
  let at = 0;
  for (let index = part.first; index < part.end; index++) {
    const word = index * recordWords;
    const isTree = words[word + 11]! >= treeFlag;
    const plainLength = words[word + 10]!;
    target[at] = (isTree ? 1 : 0) + (plainLength > 0 ? 2 : 0);
    view.setUint32(at + 1, words[word + 9]!, true);
    at += 5;
    if (plainLength > 0) {
      view.setUint32(at, plainLength, true);
      at += 4;
    }
    const id = index * recordWords * 4;
    for (let byte = 0; byte < idSizeBytes; byte++) target[at + byte] = blobs.bytes[id + byte]!;
    at += idSizeBytes;
  }
  return at;
}

/** Entries of a header that are compared at a time. */
const comparedCount = 1024;

/**
 * Opens a header that was just sealed, entry by entry: that of very small blobs has megabytes.
 * @returns whether it is that of `blobs`
 * @throws SEAL_BROKEN
 */
export function isHeaderOf(blobs: PackedBlobs, sealed: Uint8Array, sealer: Sealer): boolean {
  const partAt = sealer.openParts(sealed);
  const expected = new Uint8Array(comparedCount * compressedEntrySizeBytes);
  const room = new Uint8Array(expected.byteLength + sealOverheadBytes);
  const sizeBytes = sealed.byteLength - sealOverheadBytes;
  let at = 0;
  for (let first = 0; first < blobs.count; first += comparedCount) {
    const end = Math.min(blobs.count, first + comparedCount);
    const next = at + encodePackHeader(blobs, expected, { first, end });
    if (next > sizeBytes) return false;
    if (!equalBytes(partAt(at, next, room), expected.subarray(0, next - at))) return false;
    at = next;
  }
  return at === sizeBytes;
}

/**
 * Decodes a plain header. The blobs must fill exactly `blobsSizeBytes`, the part of the pack before its header.
 * @throws PACK_DAMAGED
 */
export function decodePackHeader(header: Uint8Array, blobsSizeBytes: number): PackedBlobs {
  const words = new Uint32Array(Math.ceil(header.byteLength / plainEntrySizeBytes) * recordWords);
  const bytes = new Uint8Array(words.buffer);
  const view = new DataView(header.buffer, header.byteOffset, header.byteLength);
  let count = 0;
  let offset = 0;
  for (let at = 0; at < header.byteLength; count++) {
    const type = header[at]!;
    if (type > 3) throw damaged('its header has an unknown blob type', { type });
    const size = type >= 2 ? compressedEntrySizeBytes : plainEntrySizeBytes;
    if (at + size > header.byteLength) throw damaged('its header ends within an entry');
    const length = view.getUint32(at + 1, true);
    const plainLength = type >= 2 ? view.getUint32(at + 5, true) : 0;
    if (length < sealOverheadBytes) throw damaged('its header has a blob too short', { length });
    if (type >= 2 && plainLength === 0) throw damaged('its header has an empty compressed blob');
    if (offset + length > blobsSizeBytes) throw damaged('its header has more than the file');
    const word = count * recordWords;
    bytes.set(header.subarray(at + size - idSizeBytes, at + size), word * 4);
    words[word + 8] = offset;
    words[word + 9] = length;
    words[word + 10] = plainLength;
    words[word + 11] = (type & 1) === 1 ? treeFlag : 0;
    offset += length;
    at += size;
  }
  if (count === 0) throw damaged('its header is empty');
  if (offset !== blobsSizeBytes) throw damaged('its header has less than the file');
  return new PackedBlobs(bytes.subarray(0, count * recordWords * 4));
}

/** Reads part of one pack; gives exactly the bytes of the range. */
export type RangeReader = (range: ByteRange) => Promise<Uint8Array>;

/**
 * Reads the header of a pack, usually with one small read.
 * @param sizeBytes size of the whole file
 * @throws PACK_DAMAGED, and what `get` throws
 */
export async function readPackHeader(
  get: RangeReader,
  sizeBytes: number,
  sealer: Sealer,
): Promise<PackedBlob[]> {
  return [...(await loadPackHeader(get, sizeBytes, sealer)).iterate()];
}

/** As `readPackHeader`, in the compact form. @throws PACK_DAMAGED, and what `get` throws */
export async function loadPackHeader(
  get: RangeReader,
  sizeBytes: number,
  sealer: Sealer,
): Promise<PackedBlobs> {
  const tailStart = Math.max(0, sizeBytes - firstReadSizeBytes);
  const tail = await readExactly(get, { start: tailStart, end: sizeBytes });
  const start = headerStartOf(tail, sizeBytes);
  const end = sizeBytes - lengthSizeBytes;
  const sealed =
    start >= tailStart
      ? tail.subarray(start - tailStart, end - tailStart)
      : await readExactly(get, { start, end });
  return decodePackHeader(openHeader(sealed, sealer), start);
}

/** The blobs of a whole pack in memory, as its header lists them. @throws PACK_DAMAGED */
export function readPackedBlobs(pack: Uint8Array, sealer: Sealer): PackedBlobs {
  return readPackedBlobsAt((start, end) => pack.subarray(start, end), pack.byteLength, sealer);
}

/**
 * The blobs of a pack as its header lists them.
 * @param bytesAt gives bytes of the pack, valid until its next call
 * @param sizeBytes size of the whole file
 * @throws PACK_DAMAGED, and what `bytesAt` throws
 */
export function readPackedBlobsAt(
  bytesAt: (start: number, end: number) => Uint8Array,
  sizeBytes: number,
  sealer: Sealer,
): PackedBlobs {
  const end = sizeBytes - lengthSizeBytes;
  const start = headerStartOf(bytesAt(Math.max(0, end), sizeBytes), sizeBytes);
  return decodePackHeader(openHeader(bytesAt(start, end), sealer), start);
}

/** Where the sealed header begins, from the end of the pack. */
function headerStartOf(tail: Uint8Array, sizeBytes: number): number {
  if (sizeBytes < packSizeBytesMin) throw damaged('it is too short', { sizeBytes });
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  const sealedSize = view.getUint32(tail.byteLength - lengthSizeBytes, true);
  const start = sizeBytes - lengthSizeBytes - sealedSize;
  if (sealedSize < sealOverheadBytes || sealedSize > packHeaderSizeBytesMax || start < 0) {
    throw damaged('its header has an impossible length', { headerSizeBytes: sealedSize });
  }
  return start;
}

async function readExactly(get: RangeReader, range: ByteRange): Promise<Uint8Array> {
  const bytes = await get(range);
  assert(bytes.byteLength === range.end - range.start, 'a read gives the whole range');
  return bytes;
}

function openHeader(sealed: Uint8Array, sealer: Sealer): Uint8Array {
  try {
    return sealer.open(sealed);
  } catch (cause) {
    if (!isHoldfastError(cause, 'SEAL_BROKEN')) throw cause;
    throw new HoldfastError('PACK_DAMAGED', {
      message: 'a pack is damaged: its header does not authenticate',
      cause,
    });
  }
}

function damaged(what: string, details: Record<string, number> = {}): HoldfastError {
  return new HoldfastError('PACK_DAMAGED', { message: `a pack is damaged: ${what}`, details });
}
