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
/** Most bytes of the text of a blob, and its comma. */
const blobEntrySizeBytesMax = 192;
/** Blobs that are written between two looks at the room that is left, and the most bytes of them and of a pack's entry. */
const stepBlobCount = 1024;
const stepSizeBytesMax: number = stepBlobCount * blobEntrySizeBytesMax + 2 * packEntrySizeBytesMax;

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

/** What an index file holds. */
export interface IndexContents {
  readonly packs: readonly IndexedPack[];
  readonly marks?: readonly PackMark[];
}

/**
 * Encodes an index file, byte for byte as restic does, with its newline at the end. Marks of packs, which restic does
 * not have, stand behind the packs.
 * @see docs/FORMAT.md#index
 */
export function encodeIndex(
  packs: readonly IndexedPack[],
  marks: readonly PackMark[] = [],
): Uint8Array<ArrayBuffer> {
  const contents = { packs, marks };
  const writer = new IndexBytes(indexSizeBytesMax(contents));
  const steps = putIndex(writer, contents);
  while (steps.next().done !== true);
  return writer.take();
}

/** The same piece by piece, of at most `sizeBytes` each. A piece is valid until the next one. */
export function* encodeIndexPieces(
  contents: IndexContents,
  sizeBytes: number,
): Generator<Uint8Array<ArrayBuffer>, void, void> {
  const writer = new IndexBytes(sizeBytes);
  const steps = putIndex(writer, contents);
  while (steps.next().done !== true) {
    if (writer.size + stepSizeBytesMax > sizeBytes) yield writer.take();
  }
  yield writer.take();
}

/** The most bytes that the index file has. */
export function indexSizeBytesMax({ packs, marks = [] }: IndexContents): number {
  let sizeBytesMax = 64;
  for (const list of [packs, marks]) {
    for (const { blobs } of list) sizeBytesMax += packEntrySizeBytesMax + sizeOfBlobs(blobs);
  }
  return sizeBytesMax;
}

/** Writes an index file in steps, of which each writes at most `stepSizeBytesMax`. */
function* putIndex(
  writer: IndexBytes,
  { packs, marks = [] }: IndexContents,
): Generator<void, void, void> {
  writer.put(text.start);
  for (const [index, pack] of packs.entries()) {
    assert(pack.id.byteLength === idSizeBytes, 'a pack id has 32 bytes');
    if (index > 0) writer.putByte(comma);
    writer.put(text.packId);
    writer.putHex(pack.id, 0);
    writer.put(text.packBlobs);
    yield* putBlobs(writer, pack.blobs);
    writer.put(text.packEnd);
  }
  if (marks.length > 0) yield* putMarks(writer, marks);
  writer.put(text.end);
}

/** Keys in the order in which rustic has them. */
function* putMarks(writer: IndexBytes, marks: readonly PackMark[]): Generator<void, void, void> {
  writer.put(text.marksStart);
  for (const [index, mark] of marks.entries()) {
    if (index > 0) writer.putByte(comma);
    writer.put(text.packId);
    writer.putHex(idBytes(mark.id), 0);
    writer.put(text.packBlobs);
    yield* putBlobs(writer, mark.blobs);
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

/** A step for every so many blobs, and one behind them. */
function* putBlobs(writer: IndexBytes, blobs: PackedBlobs): Generator<void, void, void> {
  const { bytes, count } = blobs;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  for (let index = 0; index < count; index++) {
    const word = index * recordWords;
    if (index > 0) writer.putByte(comma);
    if (index % stepBlobCount === stepBlobCount - 1) yield;
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
  yield;
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

  get size(): number {
    return this.#at;
  }

  /** What was written; what is written next takes its place. */
  take(): Uint8Array<ArrayBuffer> {
    assert(this.#at <= this.#bytes.byteLength, 'the index file fits its room');
    const taken = this.#bytes.subarray(0, this.#at);
    this.#at = 0;
    return taken;
  }
}

function latin1(value: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(value, (c) => c.charCodeAt(0));
}

/** Marks of one index file. */
const marksPerFileMax = 10_000;

/**
 * Divides marks among index files that hold marks only.
 * @param blobCountMax blobs of one file, give or take those of one pack
 */
export function* marksOfFiles(
  marks: Iterable<PackMark>,
  blobCountMax: number,
): Generator<readonly PackMark[], void, void> {
  let next: PackMark[] = [];
  let blobCount = 0;
  for (const mark of marks) {
    next.push(mark);
    blobCount += mark.blobs.count;
    if (next.length < marksPerFileMax && blobCount < blobCountMax) continue;
    yield next;
    next = [];
    blobCount = 0;
  }
  if (next.length > 0) yield next;
}
