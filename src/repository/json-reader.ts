import { assert } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import type { JsonKeys } from './json-keys.ts';
import { decodeBase64, decodeJsonString, hexValue } from './json-string.ts';

/** What a document may cost. */
export interface JsonLimits {
  /** Nesting of objects and arrays; default 64. */
  readonly depthMax?: number;
  /** Size of one string as written; default 64 MiB. */
  readonly stringSizeBytesMax?: number;
  /** Size of the document; no default, as it is in memory already. */
  readonly sizeBytesMax?: number;
}

/** What kind a JSON value is of, by its first byte (RFC 8259, section 3). */
export type JsonKind = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null';

/** `nextKey` found no more keys. */
export const endOfObject = -2;
/** `nextKey` found a key that is not among those asked for. */
export const unknownKey = -1;

/** Digits of a number that is read; longer ones can only be skipped. */
const numberDigitsMax = 64;

/** Longest number, with fraction and exponent, that is read. */
const numberSizeBytesMax: number = 4 * numberDigitsMax;

/** What may come next. */
const afterOpen = 0;
const afterValue = 1;
const beforeValue = 2;

/** Class of a byte inside a string: 0 plain, 1 quote, 2 backslash, 3 control, 4 not ASCII. */
const stringClass: Uint8Array = makeStringClasses();

/**
 * A pull parser over the bytes of one JSON document, as strict as Go's `encoding/json`.
 *
 * The caller asks for what it expects; nothing is built that it does not ask for. Integers are exact
 * (a bigint from 2^53 on), strings come as bytes or text, unknown values are skipped but checked.
 * Synchronous, no recursion in the caller's hands, no prototypes: safe on hostile input of any size.
 * Every method throws JSON_INVALID with the offset if the document is broken or is not what was asked for.
 *
 * Objects: `beginObject()`, then `nextKey(keys)` until `endOfObject`, reading or skipping exactly one value
 * after each. Arrays: `beginArray()`, then one value after each `nextElement()` that gives true. A key may
 * come twice: the caller that simply assigns has Go's rule, the last one wins.
 */
export class JsonReader {
  readonly bytes: Uint8Array;
  /** Offset of the next byte. */
  position = 0;
  /** Content of the string that was scanned last: `[stringStart, stringEnd)`, as written. */
  stringStart = 0;
  stringEnd = 0;
  /** True if that string is ASCII without escapes, so that the range is its content. */
  stringIsPlain = true;
  readonly #buffer: Buffer;
  readonly #end: number;
  readonly #depthMax: number;
  readonly #stringSizeBytesMax: number;
  #depth = 0;
  #state = beforeValue;

  constructor(bytes: Uint8Array, limits: JsonLimits = {}) {
    this.bytes = bytes;
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.byteLength;
    this.#depthMax = limits.depthMax ?? 64;
    this.#stringSizeBytesMax = limits.stringSizeBytesMax ?? 64 * 1024 * 1024;
    if (this.#end > (limits.sizeBytesMax ?? Number.POSITIVE_INFINITY)) {
      throw this.error(`is larger than ${limits.sizeBytesMax} bytes`);
    }
  }

  /** The error for this document at the place where the reader stands. */
  error(what: string): HoldfastError {
    return new HoldfastError('JSON_INVALID', {
      message: `a JSON document ${what}`,
      details: { offset: this.position },
    });
  }

  /** Kind of the value that comes next; nothing is consumed. */
  peek(): JsonKind {
    switch (this.#startValue()) {
      case 0x7b:
        return 'object';
      case 0x5b:
        return 'array';
      case 0x22:
        return 'string';
      case 0x74:
      case 0x66:
        return 'boolean';
      case 0x6e:
        return 'null';
      default:
        return 'number';
    }
  }

  beginObject(): void {
    this.#open(0x7b, 'an object');
  }

  beginArray(): void {
    this.#open(0x5b, 'an array');
  }

  /** True if one more element follows, which must then be read; false at the end of the array. */
  nextElement(): boolean {
    const byte = this.#skipSpace();
    if (byte === 0x5d) return this.#close();
    this.#separate(byte);
    return true;
  }

  /** Number of the next key in `keys.names`, `unknownKey` or `endOfObject`. */
  nextKey(keys: JsonKeys): number {
    const { bytes } = this;
    // Almost always: no spaces, and a key that is known.
    const isNext = this.#state === afterValue && bytes[this.position] === 0x2c;
    const at = this.position + (isNext ? 1 : 0);
    if (bytes[at] === 0x22 && (isNext || this.#state === afterOpen)) {
      const key = keys.matchExact(bytes, at + 1);
      const colon = at + 1 + keys.sizeBytesOf(key);
      if (key >= 0 && bytes[colon] === 0x3a) {
        this.position = colon + 1;
        this.#state = beforeValue;
        return key;
      }
    }
    return this.#nextKeySlowly(keys);
  }

  /** The next key as it is, or undefined at the end of the object. */
  nextKeyText(): string | undefined {
    if (!this.#startKey()) return undefined;
    this.#scanString();
    const key = this.stringText();
    this.#colon();
    return key;
  }

  /** Consumes a `null` if that is what comes next. */
  tryNull(): boolean {
    if (this.#startValue() !== 0x6e) return false;
    this.#literal('null');
    return true;
  }

  readBoolean(): boolean {
    const value = this.#startValue() === 0x74;
    this.#literal(value ? 'true' : 'false');
    return value;
  }

  /**
   * Consumes the next value if it is a string with exactly this content as written: for what often repeats.
   * @param raw content of a string scanned before
   */
  trySame(raw: Uint8Array): boolean {
    assert(this.#state === beforeValue, 'a JSON value is expected here');
    const { bytes } = this;
    const length = raw.length;
    const start = this.position + 1;
    if (bytes[start - 1] !== 0x22 || bytes[start + length] !== 0x22) return false;
    for (let i = 0; i < length; i++) {
      if (raw[i] !== bytes[start + i]) return false;
    }
    this.position = start + length + 1;
    this.#state = afterValue;
    return true;
  }

  /** Scans a string; `stringBytes` or `stringText` gives its content until the next one is scanned. */
  scanString(): void {
    this.#expect(this.#startValue() === 0x22, 'a string');
    this.#scanString();
  }

  /** Content of the string scanned last as UTF-8, owned by the caller. */
  stringBytes(): Uint8Array<ArrayBuffer> {
    const raw = this.bytes.subarray(this.stringStart, this.stringEnd);
    return this.stringIsPlain ? Uint8Array.from(raw) : this.#decode(raw);
  }

  /** Content of the string scanned last. */
  stringText(): string {
    const { stringStart, stringEnd } = this;
    if (this.stringIsPlain) return this.#buffer.toString('latin1', stringStart, stringEnd);
    const bytes = this.#decode(this.bytes.subarray(stringStart, stringEnd));
    return Buffer.from(bytes.buffer, 0, bytes.byteLength).toString('utf8');
  }

  readBytes(): Uint8Array<ArrayBuffer> {
    this.scanString();
    return this.stringBytes();
  }

  readText(): string {
    this.scanString();
    return this.stringText();
  }

  /** Content of a string that is standard base64; owned by the caller. */
  readBase64(): Uint8Array<ArrayBuffer> {
    this.scanString();
    const raw = this.bytes.subarray(this.stringStart, this.stringEnd);
    const bytes = decodeBase64(this.stringIsPlain ? raw : this.#decode(raw));
    if (bytes === undefined) throw this.error('has a string that is not base64');
    return bytes;
  }

  /** Reads `count` bytes written as hex into `target[offset]`; false if the string is something else. */
  readHexInto(target: Uint8Array, offset: number, count: number): boolean {
    const { bytes } = this;
    const isString = this.#startValue() === 0x22;
    let at = this.position + 1;
    if (isString && bytes[at + 2 * count] === 0x22) {
      let isHex = 0;
      for (let i = offset; i < offset + count; i++) {
        const value = (hexValue(bytes[at]!) << 4) | hexValue(bytes[at + 1]!);
        isHex |= value;
        target[i] = value;
        at += 2;
      }
      if (isHex >= 0) {
        this.position = at + 1;
        this.#state = afterValue;
        return true;
      }
    }
    this.scanString();
    return false;
  }

  /** An integer without fraction or exponent; a bigint beyond the safe integers. */
  readInteger(): number | bigint {
    const { bytes } = this;
    const isNegative = this.#startValue() === 0x2d;
    const start = this.position;
    const first = isNegative ? start + 1 : start;
    let at = first;
    let value = 0;
    for (;;) {
      const digit = bytes[at]! - 48;
      // Also false beyond the end.
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
      at++;
    }
    const digits = at - first;
    const next = bytes[at];
    const isWhole = next !== 0x2e && next !== 0x65 && next !== 0x45;
    if (digits === 0 || !isWhole || (digits > 1 && bytes[first] === 0x30)) {
      throw this.error('does not have an integer where one must be');
    }
    if (digits > numberDigitsMax) throw this.error('has a number that is too long');
    this.position = at;
    this.#state = afterValue;
    if (digits < 16) return isNegative && value > 0 ? -value : value;
    const exact = BigInt(this.#buffer.toString('latin1', start, at));
    return Number.isSafeInteger(Number(exact)) ? Number(exact) : exact;
  }

  /** Any number: exact if it is written as an integer, else the nearest double. */
  readNumber(): number | bigint {
    const start = this.position;
    this.#expect(this.#startsNumber(), 'a number');
    const from = this.position;
    this.#skipNumber();
    // A string of more than half a gigabyte cannot even be made.
    if (this.position - from > numberSizeBytesMax)
      throw this.error('has a number that is too long');
    const text = this.#buffer.toString('latin1', from, this.position);
    if (/^-?\d+$/.test(text)) {
      this.position = start;
      this.#state = beforeValue;
      return this.readInteger();
    }
    const value = Number(text);
    if (!Number.isFinite(value)) throw this.error('has a number out of range');
    return value;
  }

  /** Checks and skips one value of any kind. */
  skipValue(): void {
    switch (this.#startValue()) {
      case 0x7b:
        this.beginObject();
        // The depth limit bounds this recursion.
        while (this.#startKey()) {
          this.#skipString();
          this.#colon();
          this.skipValue();
        }
        return;
      case 0x5b:
        this.beginArray();
        while (this.nextElement()) this.skipValue();
        return;
      case 0x22:
        this.#skipString();
        return;
      case 0x74:
      case 0x66:
        this.readBoolean();
        return;
      case 0x6e:
        this.#literal('null');
        return;
      default:
        this.#expect(this.#startsNumber(), 'a value');
        this.#skipNumber();
    }
  }

  /** One value of any kind as written, without spaces around it: a view of the document. */
  readRaw(): Uint8Array {
    this.#startValue();
    const start = this.position;
    this.skipValue();
    return this.bytes.subarray(start, this.position);
  }

  /** Goes to a value anywhere in the document, for callers that know where values begin. Forgets what was open. */
  seek(position: number): void {
    this.position = position;
    this.#depth = 0;
    this.#state = beforeValue;
  }

  /** Ends the document: nothing but spaces may follow. */
  end(): void {
    assert(
      this.#depth === 0 && this.#state === afterValue,
      'the JSON document was read to its end',
    );
    this.#skipSpace();
    if (this.position < this.#end) throw this.error('is followed by other data');
  }

  #expect(isRight: boolean, what: string): void {
    if (!isRight) throw this.error(`does not have ${what} where one must be`);
  }

  /** Next byte that is not a space, not consumed; 0 at the end, which no document has elsewhere. */
  #skipSpace(): number {
    const byte = this.bytes[this.position]!;
    return byte > 0x20 ? byte : this.#skipSpaces();
  }

  #skipSpaces(): number {
    const { bytes } = this;
    let byte = bytes[this.position];
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) {
      byte = bytes[++this.position];
    }
    return byte ?? 0;
  }

  #startValue(): number {
    assert(this.#state === beforeValue, 'a JSON value is expected here');
    return this.#skipSpace();
  }

  #startsNumber(): boolean {
    const byte = this.#startValue();
    return byte === 0x2d || (byte >= 0x30 && byte <= 0x39);
  }

  #open(bracket: number, what: string): void {
    this.#expect(this.#startValue() === bracket, what);
    if (++this.#depth > this.#depthMax) throw this.error(`is nested deeper than ${this.#depthMax}`);
    this.position++;
    this.#state = afterOpen;
  }

  #close(): false {
    assert(this.#state !== beforeValue && this.#depth > 0, 'a JSON object or array is open');
    this.position++;
    this.#depth--;
    this.#state = afterValue;
    return false;
  }

  /** Passes the comma before a key or an element, if one must be there. */
  #separate(byte: number): number {
    assert(this.#state !== beforeValue, 'the JSON value before was read');
    const isFirst = this.#state === afterOpen;
    this.#state = beforeValue;
    if (isFirst) return byte;
    this.#expect(byte === 0x2c, 'a comma');
    this.position++;
    return this.#skipSpace();
  }

  #nextKeySlowly(keys: JsonKeys): number {
    if (!this.#startKey()) return endOfObject;
    this.#scanString();
    const raw = this.bytes.subarray(this.stringStart, this.stringEnd);
    this.#colon();
    return keys.match(raw);
  }

  #startKey(): boolean {
    const byte = this.#skipSpace();
    if (byte === 0x7d) return this.#close();
    this.#expect(this.#separate(byte) === 0x22, 'a key');
    return true;
  }

  #colon(): void {
    this.#expect(this.#skipSpace() === 0x3a, 'a colon');
    this.position++;
    this.#state = beforeValue;
  }

  #scanString(): void {
    const { bytes } = this;
    const end = this.#end;
    const start = this.position + 1;
    let at = start;
    while (at < end && stringClass[bytes[at]!] === 0) at++;
    this.stringIsPlain = bytes[at] === 0x22;
    if (!this.stringIsPlain) at = this.#scanOnward(at);
    if (at - start > this.#stringSizeBytesMax) {
      throw this.error(`has a string longer than ${this.#stringSizeBytesMax} bytes`);
    }
    this.stringStart = start;
    this.stringEnd = at;
    this.position = at + 1;
    this.#state = afterValue;
  }

  /** Offset of the quote that ends a string, from the first byte on that is not plain. */
  #scanOnward(from: number): number {
    const { bytes } = this;
    const end = this.#end;
    for (let at = from; at < end; at++) {
      const kind = stringClass[bytes[at]!]!;
      if (kind === 0 || kind === 4) continue;
      if (kind === 1) return at;
      if (kind === 3) throw this.error('has a control character in a string');
      at++;
    }
    throw this.error('ends within a string');
  }

  #skipString(): void {
    this.#scanString();
    if (!this.stringIsPlain) this.#checkEscapes();
  }

  #checkEscapes(): void {
    const { bytes, stringEnd } = this;
    for (let at = this.stringStart; at < stringEnd; at++) {
      if (bytes[at] !== 0x5c) continue;
      const letter = bytes[++at]!;
      const length = letter === 0x75 ? 6 : 2;
      this.#decode(bytes.subarray(at - 1, Math.min(at - 1 + length, stringEnd)));
    }
  }

  #decode(raw: Uint8Array): Uint8Array<ArrayBuffer> {
    try {
      return decodeJsonString(raw);
    } catch (cause) {
      throw cause instanceof HoldfastError
        ? new HoldfastError('JSON_INVALID', {
            message: cause.message,
            details: { offset: this.stringStart },
          })
        : cause;
    }
  }

  #literal(word: string): void {
    for (let i = 0; i < word.length; i++) {
      this.#expect(this.bytes[this.position + i] === word.charCodeAt(i), `"${word}"`);
    }
    this.position += word.length;
    this.#state = afterValue;
  }

  #skipNumber(): void {
    if (this.bytes[this.position] === 0x2d) this.position++;
    const isZero = this.bytes[this.position] === 0x30;
    const digits = this.#skipDigits();
    this.#expect(digits > 0 && !(isZero && digits > 1), 'a number');
    if (this.bytes[this.position] === 0x2e) {
      this.position++;
      this.#expect(this.#skipDigits() > 0, 'a digit after the point');
    }
    const exponent = this.bytes[this.position];
    if (exponent === 0x65 || exponent === 0x45) {
      const sign = this.bytes[++this.position];
      if (sign === 0x2b || sign === 0x2d) this.position++;
      this.#expect(this.#skipDigits() > 0, 'an exponent');
    }
    this.#state = afterValue;
  }

  #skipDigits(): number {
    const start = this.position;
    let byte = this.bytes[this.position] ?? 0;
    while (byte >= 0x30 && byte <= 0x39) byte = this.bytes[++this.position] ?? 0;
    return this.position - start;
  }
}

function makeStringClasses(): Uint8Array {
  const table = new Uint8Array(256);
  table.fill(3, 0, 0x20);
  table.fill(4, 0x80);
  table[0x22] = 1;
  table[0x5c] = 2;
  return table;
}
