import { sealOverheadBytes } from '../kernels/seal.ts';
import { recordWords, treeFlag } from './blob.ts';
import type { DecodedIndex } from './index-decoded.ts';

const uint32Max = 0xffff_ffff;
const idDigits = 64;
const comma = 0x2c;
const braceOpen = 0x7b;
const braceClose = 0x7d;

const idText = latin1('{"id":"');
const dataText = latin1('","type":"data","offset":');
const treeText = latin1('","type":"tree","offset":');
const lengthText = latin1(',"length":');
const plainLengthText = latin1(',"uncompressed_length":');
/** The letter of `dataText` and `treeText` that tells them apart. */
const typeLetterAt = 10;
const letterD = 0x64;

/** Value of a byte as hex digit, or -1. */
const hexValues: Int8Array = makeHexValues();

/**
 * Decodes blobs that are written exactly as restic and this program write them, and are followed by another one.
 *
 * These are most blobs of most index files, and here several times faster than with the general reader. What is
 * unusual in any way is not judged here but left to that.
 */
export class UsualBlobDecoder {
  readonly #bytes: Uint8Array;
  readonly #decoded: DecodedIndex;
  #at = 0;

  constructor(bytes: Uint8Array, decoded: DecodedIndex) {
    this.#bytes = bytes;
    this.#decoded = decoded;
  }

  /**
   * @param start where an element of an array of blobs begins
   * @returns where the first element begins that was not decoded
   */
  decode(start: number): number {
    const decoded = this.#decoded;
    const bytes = this.#bytes;
    for (let elementStart = start; ; elementStart = this.#at) {
      this.#at = elementStart;
      decoded.growRecords();
      if (!this.#decodeBlob(decoded.records, decoded.blobCount * recordWords)) return elementStart;
      if (bytes[this.#at] !== comma || bytes[this.#at + 1] !== braceOpen) return elementStart;
      decoded.blobCount++;
      this.#at++;
    }
  }

  #decodeBlob(records: Uint32Array<ArrayBuffer>, word: number): boolean {
    if (!this.#pass(idText) || !this.#readId(records, word)) return false;
    const isData = this.#bytes[this.#at + typeLetterAt] === letterD;
    if (!this.#pass(isData ? dataText : treeText)) return false;
    const offset = this.#readNumber();
    if (offset < 0 || !this.#pass(lengthText)) return false;
    const length = this.#readNumber();
    if (length < sealOverheadBytes || offset + length > uint32Max) return false;
    let plainLength = 0;
    if (this.#bytes[this.#at] === comma) {
      if (!this.#pass(plainLengthText)) return false;
      plainLength = this.#readNumber();
      if (plainLength < 0) return false;
    }
    records[word + 8] = offset;
    records[word + 9] = length;
    records[word + 10] = plainLength;
    records[word + 11] = isData ? 0 : treeFlag;
    return this.#bytes[this.#at++] === braceClose;
  }

  /** Passes exactly these bytes. */
  #pass(text: Uint8Array): boolean {
    const bytes = this.#bytes;
    const at = this.#at;
    for (let i = 0; i < text.length; i++) {
      if (bytes[at + i] !== text[i]) return false;
    }
    this.#at = at + text.length;
    return true;
  }

  /** Reads 64 hex digits into 8 words. */
  #readId(records: Uint32Array<ArrayBuffer>, word: number): boolean {
    const bytes = this.#bytes;
    let at = this.#at;
    if (at + idDigits > bytes.length) return false;
    let seen = 0;
    for (let index = word; index < word + 8; index++) {
      const a = (hexValues[bytes[at]!]! << 4) | hexValues[bytes[at + 1]!]!;
      const b = (hexValues[bytes[at + 2]!]! << 4) | hexValues[bytes[at + 3]!]!;
      const c = (hexValues[bytes[at + 4]!]! << 4) | hexValues[bytes[at + 5]!]!;
      const d = (hexValues[bytes[at + 6]!]! << 4) | hexValues[bytes[at + 7]!]!;
      seen |= a | b | c | d;
      records[index] = a | (b << 8) | (c << 16) | (d << 24);
      at += 8;
    }
    this.#at = at;
    return seen >= 0;
  }

  /** Reads an unsigned 32-bit number without needless zeros, or gives -1. */
  #readNumber(): number {
    const bytes = this.#bytes;
    const start = this.#at;
    let at = start;
    let value = 0;
    let digit = bytes[at]! - 48;
    while (digit >= 0 && digit <= 9 && at - start < 11) {
      value = value * 10 + digit;
      digit = bytes[++at]! - 48;
    }
    this.#at = at;
    if (at === start || value > uint32Max) return -1;
    return bytes[start] === 48 && at - start > 1 ? -1 : value;
  }
}

function makeHexValues(): Int8Array {
  const values = new Int8Array(256).fill(-1);
  for (let digit = 0; digit < 16; digit++) {
    const text = digit.toString(16);
    values[text.charCodeAt(0)] = digit;
    values[text.toUpperCase().charCodeAt(0)] = digit;
  }
  return values;
}

function latin1(value: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(value, (c) => c.charCodeAt(0));
}
