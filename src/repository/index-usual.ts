import { sealOverheadBytes } from '../kernels/seal.ts';
import { recordWords, treeFlag } from './blob.ts';
import type { DecodedIndex } from './index-decoded.ts';

const uint32Max = 0xffff_ffff;
const idDigits = 64;
const comma = 0x2c;
const braceOpen = 0x7b;
const braceClose = 0x7d;

/** Four bytes at a time: the last four may overlap those before. */
interface FixedText {
  readonly sizeBytes: number;
  readonly words: Int32Array;
  /** Where the last word begins. */
  readonly lastAt: number;
  readonly lastWord: number;
}

const idText = fixedText('{"id":"');
const dataText = fixedText('","type":"data","offset":');
const treeText = fixedText('","type":"tree","offset":');
const lengthText = fixedText(',"length":');
const plainLengthText = fixedText(',"uncompressed_length":');
/** The letter of `dataText` and `treeText` that tells them apart. */
const typeLetterAt = 10;
const letterD = 0x64;

/** Value of two bytes as hex digits, the first one in the low bits of the number, or -1. */
const hexPairs: Int16Array = makeHexPairs();

/**
 * Decodes blobs that are written exactly as restic and this program write them, and are followed by another one.
 *
 * These are most blobs of most index files, and here several times faster than with the general reader. What is
 * unusual in any way is not judged here but left to that.
 */
export class UsualBlobDecoder {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #decoded: DecodedIndex;
  #at = 0;

  constructor(bytes: Uint8Array, decoded: DecodedIndex) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
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
  #pass(text: FixedText): boolean {
    const view = this.#view;
    const at = this.#at;
    if (at + text.sizeBytes > view.byteLength) return false;
    const { words } = text;
    for (let i = 0; i < words.length; i++) {
      if (view.getInt32(at + i * 4, true) !== words[i]) return false;
    }
    this.#at = at + text.sizeBytes;
    return view.getInt32(at + text.lastAt, true) === text.lastWord;
  }

  /** Reads 64 hex digits into 8 words. */
  #readId(records: Uint32Array<ArrayBuffer>, word: number): boolean {
    const view = this.#view;
    let at = this.#at;
    if (at + idDigits > view.byteLength) return false;
    let seen = 0;
    for (let index = word; index < word + 8; index++) {
      const a = hexPairs[view.getUint16(at, true)]!;
      const b = hexPairs[view.getUint16(at + 2, true)]!;
      const c = hexPairs[view.getUint16(at + 4, true)]!;
      const d = hexPairs[view.getUint16(at + 6, true)]!;
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

function makeHexPairs(): Int16Array {
  const pairs = new Int16Array(0x10000).fill(-1);
  for (let value = 0; value < 256; value++) {
    const text = value.toString(16).padStart(2, '0');
    for (const high of [text.charAt(0), text.charAt(0).toUpperCase()]) {
      for (const low of [text.charAt(1), text.charAt(1).toUpperCase()]) {
        pairs[high.charCodeAt(0) | (low.charCodeAt(0) << 8)] = value;
      }
    }
  }
  return pairs;
}

function fixedText(text: string): FixedText {
  const bytes = Uint8Array.from(text, (c) => c.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const words = new Int32Array(Math.floor(text.length / 4));
  for (let i = 0; i < words.length; i++) words[i] = view.getInt32(i * 4, true);
  const lastAt = text.length - 4;
  return { sizeBytes: text.length, words, lastAt, lastWord: view.getInt32(lastAt, true) };
}
