import { assert } from '../base/assert.ts';
import { type PackedBlobs, recordSizeBytes, recordWords, treeFlag } from './blob.ts';
import { idBytes, idSizeBytes } from './id.ts';
import type { PackMark } from './pack-marks.ts';
import { formatTime, utcZone } from './time-format.ts';

/** A stored pack and all its blobs. */
export interface IndexedPack {
  readonly id: Uint8Array;
  readonly blobs: PackedBlobs;
}

/** Most bytes of a pack's entry besides its blobs, of a marked one too. */
const packEntrySizeBytesMax = 192;

const text = {
  start: latin1('{"packs":['),
  packId: latin1('{"id":"'),
  packBlobs: latin1('","blobs":['),
  packEnd: latin1(']}'),
  marksStart: latin1('],"packs_to_delete":['),
  blobsEnd: latin1(']'),
  length: latin1(',"length":'),
  uncompressedLength: latin1(',"uncompressed_length":'),
  end: latin1(']}\n'),
} as const;
/** Text of a blob up to its offset, with room for its id: one copy instead of several, and of a byte loop, is a third less. */
const blobStart = {
  data: latin1(`{"id":"${'0'.repeat(2 * idSizeBytes)}","type":"data","offset":`),
  tree: latin1(`{"id":"${'0'.repeat(2 * idSizeBytes)}","type":"tree","offset":`),
} as const;
const hexDigits: Uint8Array = latin1('0123456789abcdef');
const comma = 0x2c;
const braceClose = 0x7d;

/**
 * Encodes an index file, byte for byte as restic does, with its newline at the end. Marks of packs, which restic does
 * not have, stand behind the packs.
 * @see docs/FORMAT.md#index
 */
export function encodeIndex(
  packs: readonly IndexedPack[],
  marks: readonly PackMark[] = [],
): Uint8Array<ArrayBuffer> {
  let sizeBytesMax = 64;
  for (const { blobs } of [...packs, ...marks]) {
    sizeBytesMax += packEntrySizeBytesMax + sizeOfBlobs(blobs);
  }
  const writer = new IndexBytes(sizeBytesMax);
  writer.put(text.start);
  for (const [index, pack] of packs.entries()) {
    assert(pack.id.byteLength === idSizeBytes, 'a pack id has 32 bytes');
    if (index > 0) writer.putByte(comma);
    writer.put(text.packId);
    writer.putHex(pack.id, 0);
    writer.put(text.packBlobs);
    putBlobs(writer, pack.blobs);
    writer.put(text.packEnd);
  }
  if (marks.length > 0) putMarks(writer, marks);
  writer.put(text.end);
  return writer.finish();
}

/** Keys in the order in which rustic has them. */
function putMarks(writer: IndexBytes, marks: readonly PackMark[]): void {
  writer.put(text.marksStart);
  for (const [index, mark] of marks.entries()) {
    if (index > 0) writer.putByte(comma);
    writer.put(text.packId);
    writer.putHex(idBytes(mark.id), 0);
    writer.put(text.packBlobs);
    putBlobs(writer, mark.blobs);
    writer.put(text.blobsEnd);
    if (mark.time) writer.put(latin1(`,"time":"${formatTime(mark.time, utcZone)}"`));
    if (mark.sizeBytes !== undefined) writer.put(latin1(`,"size":${mark.sizeBytes}`));
    writer.putByte(braceClose);
  }
}

/**
 * Bytes that `putBlobs` writes, and one comma more. Counted and not estimated: a pack of very small blobs has an entry of
 * some 25 MB.
 */
function sizeOfBlobs({ bytes, count }: PackedBlobs): number {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  const fixed = blobStart.data.length + text.length.length + 2;
  let size = count * fixed;
  for (let word = 8; word < words.length; word += recordWords) {
    size += digitCount(words[word]!) + digitCount(words[word + 1]!);
    const plainLength = words[word + 2]!;
    if (plainLength > 0) size += text.uncompressedLength.length + digitCount(plainLength);
  }
  return size;
}

/** Decimal digits of an unsigned 32-bit number. */
function digitCount(value: number): number {
  let count = 1;
  for (let bound = 10; bound <= value; bound *= 10) count++;
  return count;
}

function putBlobs(writer: IndexBytes, blobs: PackedBlobs): void {
  const { bytes, count } = blobs;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  for (let index = 0; index < count; index++) {
    const word = index * recordWords;
    if (index > 0) writer.putByte(comma);
    const start = words[word + 11]! >= treeFlag ? blobStart.tree : blobStart.data;
    writer.putWithId(start, bytes, index * recordSizeBytes);
    writer.putNumber(words[word + 8]!);
    writer.put(text.length);
    writer.putNumber(words[word + 9]!);
    if (words[word + 10]! > 0) {
      writer.put(text.uncompressedLength);
      writer.putNumber(words[word + 10]!);
    }
    writer.putByte(braceClose);
  }
}

/** Bytes written one after another into room that is known to suffice. */
class IndexBytes {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  #at = 0;

  constructor(sizeBytesMax: number) {
    this.#bytes = new Uint8Array(sizeBytesMax);
  }

  put(part: Uint8Array): void {
    this.#bytes.set(part, this.#at);
    this.#at += part.length;
  }

  putByte(byte: number): void {
    this.#bytes[this.#at++] = byte;
  }

  putHex(source: Uint8Array, offset: number): void {
    this.#writeHex(source, offset, this.#at);
    this.#at += 2 * idSizeBytes;
  }

  /** Writes a text that begins as a pack's does, and an id into the room that it has for one. */
  putWithId(part: Uint8Array, source: Uint8Array, offset: number): void {
    const at = this.#at + text.packId.length;
    this.put(part);
    this.#writeHex(source, offset, at);
  }

  putNumber(value: number): void {
    let end = this.#at + 1;
    for (let power = 10; power <= value; power *= 10) end++;
    let rest = value;
    for (let at = end - 1; at >= this.#at; at--) {
      const tenth = Math.floor(rest / 10);
      this.#bytes[at] = 48 + (rest - tenth * 10);
      rest = tenth;
    }
    this.#at = end;
  }

  #writeHex(source: Uint8Array, offset: number, start: number): void {
    const bytes = this.#bytes;
    let at = start;
    for (let i = offset; i < offset + idSizeBytes; i++) {
      const byte = source[i]!;
      bytes[at++] = hexDigits[byte >>> 4]!;
      bytes[at++] = hexDigits[byte & 15]!;
    }
  }

  finish(): Uint8Array<ArrayBuffer> {
    assert(this.#at <= this.#bytes.byteLength, 'the index file fits its room');
    return this.#bytes.subarray(0, this.#at);
  }
}

function latin1(value: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(value, (c) => c.charCodeAt(0));
}

/** Marks of one index file. */
const marksPerFileMax = 10_000;

/**
 * Encodes index files that hold marks only.
 * @param blobCountMax blobs of one file, give or take those of one pack
 */
export function* encodeMarks(
  marks: Iterable<PackMark>,
  blobCountMax: number,
): Generator<Uint8Array<ArrayBuffer>, void, void> {
  let next: PackMark[] = [];
  let blobCount = 0;
  for (const mark of marks) {
    next.push(mark);
    blobCount += mark.blobs.count;
    if (next.length < marksPerFileMax && blobCount < blobCountMax) continue;
    yield encodeIndex([], next);
    next = [];
    blobCount = 0;
  }
  if (next.length > 0) yield encodeIndex([], next);
}
