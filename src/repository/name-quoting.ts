import { hexValue } from './json-string.ts';
import { putCodePoint, utf8CodePoint, utf8SequenceLength } from './json-utf8.ts';
import { hexDigitBytes } from './json-writer.ts';
import { isPrintable } from './name-quoting-table.ts';

const backslash = 0x5c;
const quote = 0x22;

/** Letters of the escapes for U+0007 to U+000D. */
const controlLetters = 'abtnvfr';

/**
 * Quotes the raw bytes of a file name as a tree stores it: Go's `strconv.Quote` without the outer quotes.
 * The result is valid UTF-8 and still needs JSON escaping. A name that needs no quoting is returned itself.
 * @see docs/FORMAT.md#names
 */
export function quoteName(name: Uint8Array): Uint8Array {
  const plainLength = plainPrefixLength(name);
  const end = name.byteLength;
  if (plainLength === end) return name;
  // The worst case is an invalid byte: 4 bytes; a code point of 4 bytes gives 10.
  const target = new Uint8Array(4 * end);
  target.set(name.subarray(0, plainLength));
  let to = plainLength;
  for (let i = plainLength; i < end; ) {
    const byte = name[i]!;
    const length = byte < 0x80 ? 1 : utf8SequenceLength(name, i, end);
    if (length === 0) {
      to = putHexEscape(target, to, { letter: 0x78, value: byte, digits: 2 });
      i++;
      continue;
    }
    const codePoint = length === 1 ? byte : utf8CodePoint(name, i, length);
    if (codePoint === backslash || codePoint === quote) target[to++] = backslash;
    if (isPrintable(codePoint)) for (let k = 0; k < length; k++) target[to++] = name[i + k]!;
    else to = putEscape(target, to, codePoint);
    i += length;
  }
  return target.slice(0, to);
}

/**
 * Undoes `quoteName`, and reads all that Go's `strconv.Unquote` reads: also octal escapes.
 * @returns the raw bytes of the name (the argument itself if nothing is quoted), or undefined if the quoting
 *   is broken; restic cannot read such a name either
 */
export function unquoteName(quoted: Uint8Array): Uint8Array | undefined {
  const end = quoted.byteLength;
  let i = 0;
  while (i < end && !isSpecial(quoted[i]!)) i++;
  if (i === end) return quoted;
  const target = new Uint8Array(end);
  target.set(quoted.subarray(0, i));
  let to = i;
  while (i < end) {
    const byte = quoted[i]!;
    if (byte !== backslash) {
      if (isSpecial(byte)) return undefined;
      target[to++] = byte;
      i++;
      continue;
    }
    const length = escapeLength(quoted[i + 1] ?? 0);
    if (length === 0 || i + length > end) return undefined;
    const written = putUnescaped(target, to, quoted.subarray(i, i + length));
    if (written < 0) return undefined;
    to += written;
    i += length;
  }
  return target.slice(0, to);
}

/** Number of leading bytes that stand for themselves in a quoted name. */
function plainPrefixLength(name: Uint8Array): number {
  let i = 0;
  for (; i < name.byteLength; i++) {
    const byte = name[i]!;
    if (byte < 0x20 || byte > 0x7e || byte === quote || byte === backslash) break;
  }
  return i;
}

function putEscape(target: Uint8Array, at: number, codePoint: number): number {
  if (codePoint >= 0x07 && codePoint <= 0x0d) {
    target[at] = backslash;
    target[at + 1] = controlLetters.charCodeAt(codePoint - 0x07);
    return at + 2;
  }
  const value = codePoint;
  if (value < 0x80) return putHexEscape(target, at, { letter: 0x78, value, digits: 2 });
  if (value < 0x10000) return putHexEscape(target, at, { letter: 0x75, value, digits: 4 });
  return putHexEscape(target, at, { letter: 0x55, value, digits: 8 });
}

interface HexEscape {
  readonly letter: number;
  readonly value: number;
  readonly digits: number;
}

function putHexEscape(target: Uint8Array, at: number, escape: HexEscape): number {
  target[at] = backslash;
  target[at + 1] = escape.letter;
  let value = escape.value;
  for (let i = at + 1 + escape.digits; i > at + 1; i--) {
    target[i] = hexDigitBytes[value & 15]!;
    value >>>= 4;
  }
  return at + 2 + escape.digits;
}

/** True for what may not stand unescaped in a quoted name: backslash, quote, newline. */
function isSpecial(byte: number): boolean {
  return byte === backslash || byte === quote || byte === 0x0a;
}

/** Bytes of an escape with this letter after the backslash; 0 if there is no such escape. */
function escapeLength(letter: number): number {
  if (letter === backslash || letter === quote) return 2;
  if (letter === 0x78) return 4;
  if (letter === 0x75) return 6;
  if (letter === 0x55) return 10;
  if (letter >= 0x30 && letter <= 0x37) return 4;
  return controlLetters.includes(String.fromCharCode(letter)) ? 2 : 0;
}

/** Writes what an escape of the right length stands for; returns the bytes written, -1 if it is broken. */
function putUnescaped(target: Uint8Array, at: number, escape: Uint8Array): number {
  const letter = escape[1]!;
  if (escape.byteLength === 2) {
    const control = controlLetters.indexOf(String.fromCharCode(letter));
    target[at] = control < 0 ? letter : control + 0x07;
    return 1;
  }
  const isOctal = letter <= 0x37;
  let value = 0;
  for (let i = isOctal ? 1 : 2; i < escape.byteLength; i++) {
    const digit = hexValue(escape[i]!);
    if (digit < 0 || (isOctal && digit > 7)) return -1;
    value = value * (isOctal ? 8 : 16) + digit;
  }
  if (isOctal || letter === 0x78) {
    target[at] = value;
    return value <= 0xff ? 1 : -1;
  }
  const isSurrogate = value >= 0xd800 && value <= 0xdfff;
  return isSurrogate || value > 0x10ffff ? -1 : putCodePoint(target, at, value);
}
