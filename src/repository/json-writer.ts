import { assert } from '../base/assert.ts';
import { utf8SequenceLength } from './json-utf8.ts';

/** Lower-case hex digits as bytes. */
export const hexDigitBytes: Uint8Array = Uint8Array.from('0123456789abcdef', (c) =>
  c.charCodeAt(0),
);

/** Results from this size on leave the writer without a copy. */
const handOverSizeBytes = 4 * 1024 * 1024;

const base64Digits: Uint8Array = Uint8Array.from(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
  (c) => c.charCodeAt(0),
);

/** Per byte below 0x80: 0 written as is, 1 as `\u00xx`, else the letter after the backslash. */
const escapeOf: Uint8Array = makeEscapes();

const lineSeparatorLead = 0xe2;

/**
 * From this size on the writer starts a new piece instead of growing. The system's allocator gives memory of
 * this size back when it is freed, so that joining the pieces never needs the memory twice.
 */
const pieceSizeBytesDefault = 64 * 1024 * 1024;

/**
 * A growable byte array with writers for the pieces of JSON, as Go's `encoding/json` writes them.
 *
 * It knows no structure: braces, commas and keys are the caller's. `bytes` and `length` are open for
 * hot loops: after `reserve(n)` up to n bytes may be put at `bytes[length]`; any call here may replace
 * `bytes` and move `length`, so read both again after it. Never holds a string of the whole, so there is no
 * limit of 512 MiB.
 */
export class JsonWriter {
  /** The piece that is written now. */
  bytes: Uint8Array<ArrayBuffer>;
  /** Bytes in use of this piece. */
  length = 0;
  readonly #capacityBytes: number;
  readonly #pieceSizeBytes: number;
  #fullPieces: Uint8Array<ArrayBuffer>[] = [];

  constructor(capacityBytes = 4096, pieceSizeBytes: number = pieceSizeBytesDefault) {
    this.#capacityBytes = capacityBytes;
    this.#pieceSizeBytes = pieceSizeBytes;
    this.bytes = new Uint8Array(capacityBytes);
  }

  /** Makes room for `sizeBytes` more in one piece. */
  reserve(sizeBytes: number): void {
    if (this.length + sizeBytes > this.bytes.byteLength) this.#grow(sizeBytes);
  }

  #grow(sizeBytes: number): void {
    const needed = this.length + sizeBytes;
    const doubled = 2 * this.bytes.byteLength;
    if (doubled <= this.#pieceSizeBytes || this.length === 0) {
      // A transfer frees the old memory at once, not at the next garbage collection.
      this.bytes = new Uint8Array(this.bytes.buffer.transfer(Math.max(needed, doubled)));
      return;
    }
    this.#fullPieces.push(this.bytes.subarray(0, this.length));
    this.bytes = new Uint8Array(Math.max(sizeBytes, this.#pieceSizeBytes));
    this.length = 0;
  }

  byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length++] = value;
  }

  /** Text that is known to be ASCII and needs no escape: punctuation, keys, formatted times. */
  ascii(text: string): void {
    this.reserve(text.length);
    const target = this.bytes;
    let at = this.length;
    for (let i = 0; i < text.length; i++) target[at++] = text.charCodeAt(i);
    this.length = at;
  }

  /** Bytes as they are. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.byteLength);
    this.bytes.set(bytes, this.length);
    this.length += bytes.byteLength;
  }

  /** A Go string with its quotes; lone surrogates of a text become U+FFFD. */
  string(value: string | Uint8Array): void {
    this.byte(0x22);
    this.escaped(typeof value === 'string' ? Buffer.from(value, 'utf8') : value);
    this.byte(0x22);
  }

  /**
   * A Go string without its quotes.
   * @see docs/FORMAT.md#strings
   */
  escaped(source: Uint8Array): void {
    const end = source.byteLength;
    this.reserve(6 * end);
    const target = this.bytes;
    let to = this.length;
    let i = 0;
    while (i < end) {
      const byte = source[i]!;
      if (byte < 0x80) {
        i++;
        if (escapeOf[byte] === 0) target[to++] = byte;
        else to = putEscape(target, to, byte);
        continue;
      }
      const length = utf8SequenceLength(source, i, end);
      if (length === 0) {
        to = putUnicodeEscape(target, to, 0xfffd);
        i++;
      } else if (byte === lineSeparatorLead && isLineSeparator(source, i)) {
        to = putUnicodeEscape(target, to, 0x2000 | (source[i + 2]! & 0x3f));
        i += 3;
      } else {
        for (const stop = i + length; i < stop; i++) target[to++] = source[i]!;
      }
    }
    this.length = to;
  }

  /** A decimal integer; a number must be a safe integer. */
  integer(value: number | bigint): void {
    if (typeof value === 'bigint' || value < 0) {
      assert(typeof value === 'bigint' || Number.isSafeInteger(value), 'JSON integer is exact');
      this.ascii(String(value));
      return;
    }
    assert(Number.isSafeInteger(value), 'JSON integer is exact');
    this.reserve(16);
    const digits = digitCount(value);
    const target = this.bytes;
    let rest = value;
    let at = this.length + digits;
    this.length = at;
    while (rest > 0x7fffffff) {
      const next = Math.floor(rest / 10);
      target[--at] = 48 + (rest - next * 10);
      rest = next;
    }
    let small = rest | 0;
    do {
      const next = (small / 10) | 0;
      target[--at] = 48 + (small - next * 10);
      small = next;
    } while (small > 0);
  }

  /** Lower-case hex of `count` bytes from `offset`, without quotes. */
  hex(source: Uint8Array, offset = 0, count: number = source.byteLength - offset): void {
    this.reserve(2 * count);
    const target = this.bytes;
    let at = this.length;
    for (let i = offset; i < offset + count; i++) {
      const byte = source[i]!;
      target[at++] = hexDigitBytes[byte >> 4]!;
      target[at++] = hexDigitBytes[byte & 15]!;
    }
    this.length = at;
  }

  /** Standard padded base64, without quotes. */
  base64(source: Uint8Array): void {
    const end = source.byteLength;
    this.reserve(4 * Math.ceil(end / 3));
    const target = this.bytes;
    let at = this.length;
    for (let i = 0; i < end; i += 3) {
      const bits = (source[i]! << 16) | ((source[i + 1] ?? 0) << 8) | (source[i + 2] ?? 0);
      target[at++] = base64Digits[bits >> 18]!;
      target[at++] = base64Digits[(bits >> 12) & 63]!;
      target[at++] = i + 1 < end ? base64Digits[(bits >> 6) & 63]! : 0x3d;
      target[at++] = i + 2 < end ? base64Digits[bits & 63]! : 0x3d;
    }
    this.length = at;
  }

  /**
   * Gives what was written, owned by the caller, and empties the writer. Small results are copied and
   * the buffer is kept; large ones are handed over or joined piece by piece, so that they are never in
   * memory twice.
   */
  finish(): Uint8Array<ArrayBuffer> {
    const last = this.bytes.subarray(0, this.length);
    this.length = 0;
    if (this.#fullPieces.length === 0 && last.byteLength < handOverSizeBytes) return last.slice();
    const pieces = [...this.#fullPieces, last];
    this.bytes = new Uint8Array(this.#capacityBytes);
    this.#fullPieces = [];
    return pieces.length === 1 ? last : joinPieces(pieces);
  }

  reset(): void {
    this.length = 0;
    this.#fullPieces = [];
  }
}

/** Joins the pieces and frees each as soon as it is copied. */
function joinPieces(pieces: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.byteLength;
    piece.buffer.transfer(0);
  }
  return whole;
}

/** A Go string without its quotes. */
export function escapeGoString(source: string | Uint8Array): Uint8Array<ArrayBuffer> {
  const writer = new JsonWriter(64);
  writer.escaped(typeof source === 'string' ? Buffer.from(source, 'utf8') : source);
  return writer.finish();
}

function digitCount(value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  return digits;
}

function isLineSeparator(source: Uint8Array, at: number): boolean {
  return source[at + 1] === 0x80 && (source[at + 2] === 0xa8 || source[at + 2] === 0xa9);
}

function putEscape(target: Uint8Array, at: number, byte: number): number {
  const letter = escapeOf[byte]!;
  if (letter === 1) return putUnicodeEscape(target, at, byte);
  target[at] = 0x5c;
  target[at + 1] = letter;
  return at + 2;
}

function putUnicodeEscape(target: Uint8Array, at: number, codePoint: number): number {
  target[at] = 0x5c;
  target[at + 1] = 0x75;
  for (let i = 0; i < 4; i++) {
    target[at + 2 + i] = hexDigitBytes[(codePoint >> (12 - 4 * i)) & 15]!;
  }
  return at + 6;
}

function makeEscapes(): Uint8Array {
  const table = new Uint8Array(128);
  table.fill(1, 0, 0x20);
  for (const c of '<>&') table[c.charCodeAt(0)] = 1;
  for (const [c, letter] of ['""', '\\\\', '\bb', '\ff', '\nn', '\rr', '\tt']) {
    table[c!.charCodeAt(0)] = letter!.charCodeAt(0);
  }
  return table;
}
