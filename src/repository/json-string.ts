import { HoldfastError } from '../base/errors.ts';
import { putCodePoint, utf8SequenceLength } from './json-utf8.ts';

const replacement = 0xfffd;

/**
 * Decodes the content of a JSON string (without its quotes) to UTF-8, as Go does: bytes that are not valid
 * UTF-8 and lone surrogates become U+FFFD.
 *
 * The content must have been scanned: no control characters, no bare quote, no backslash at the end.
 * @throws JSON_INVALID for an unknown escape
 */
export function decodeJsonString(raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const end = raw.byteLength;
  // A raw byte grows to 3 at most (U+FFFD); an escape only shrinks.
  const target = new Uint8Array(3 * end);
  let to = 0;
  let i = 0;
  while (i < end) {
    const byte = raw[i]!;
    if (byte === 0x5c) {
      const isUnicode = raw[i + 1] === 0x75;
      const codePoint = isUnicode ? unicodeEscape(raw, i) : simpleEscape(raw[i + 1] ?? 0);
      to += putCodePoint(target, to, codePoint);
      i += isUnicode ? (codePoint >= 0x10000 ? 12 : 6) : 2;
    } else if (byte < 0x80) {
      target[to++] = byte;
      i++;
    } else {
      const length = utf8SequenceLength(raw, i, end);
      if (length === 0) to += putCodePoint(target, to, replacement);
      for (let k = 0; k < length; k++) target[to++] = raw[i + k]!;
      i += Math.max(length, 1);
    }
  }
  return target.slice(0, to);
}

function simpleEscape(letter: number): number {
  switch (letter) {
    case 0x22:
    case 0x5c:
    case 0x2f:
      return letter;
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    default:
      throw new HoldfastError('JSON_INVALID', { message: 'a JSON string has an unknown escape' });
  }
}

/** The code point of the escape at `raw[at]`, two escapes if they are a surrogate pair. */
function unicodeEscape(raw: Uint8Array, at: number): number {
  const first = hexQuad(raw, at + 2);
  if (first < 0) {
    throw new HoldfastError('JSON_INVALID', { message: 'a JSON string has a broken \\u escape' });
  }
  if (first < 0xd800 || first > 0xdfff) return first;
  if (first > 0xdbff || raw[at + 6] !== 0x5c || raw[at + 7] !== 0x75) return replacement;
  const second = hexQuad(raw, at + 8);
  if (second < 0xdc00 || second > 0xdfff) return replacement;
  return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
}

function hexQuad(raw: Uint8Array, at: number): number {
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const digit = hexValue(raw[i] ?? 0);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

const hexValues: Int8Array = makeDigits('0123456789abcdef');
hexValues.set(hexValues.subarray(0x61, 0x67), 0x41);

const base64Values: Int8Array = makeDigits(
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
);

/** Value of a hex digit of either case, or -1. */
export function hexValue(byte: number): number {
  return hexValues[byte]!;
}

/**
 * Decodes standard base64 with padding, as Go does: line breaks are skipped, all else must be right.
 * @returns undefined if it is not base64
 */
export function decodeBase64(text: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const digits = text.filter((byte) => byte !== 0x0a && byte !== 0x0d);
  const end = digits.byteLength;
  if (end % 4 !== 0) return undefined;
  const padding = end > 0 && digits[end - 1] === 0x3d ? (digits[end - 2] === 0x3d ? 2 : 1) : 0;
  digits.fill(0x41, end - padding);
  const bytes = new Uint8Array((end / 4) * 3);
  let isDigits = 0;
  for (let i = 0, to = 0; i < end; i += 4, to += 3) {
    const a = base64Values[digits[i]!]!;
    const b = base64Values[digits[i + 1]!]!;
    const c = base64Values[digits[i + 2]!]!;
    const d = base64Values[digits[i + 3]!]!;
    isDigits |= a | b | c | d;
    bytes[to] = (a << 2) | (b >> 4);
    bytes[to + 1] = (b << 4) | (c >> 2);
    bytes[to + 2] = (c << 6) | d;
  }
  return isDigits < 0 ? undefined : bytes.slice(0, bytes.byteLength - padding);
}

function makeDigits(digits: string): Int8Array {
  const table = new Int8Array(256).fill(-1);
  for (let i = 0; i < digits.length; i++) table[digits.charCodeAt(i)] = i;
  return table;
}
