/**
 * Length of the UTF-8 sequence that starts with the byte `bytes[at]` >= 0x80, or 0 if it is not valid
 * there: surrogates, overlong forms, values above U+10FFFF and truncated sequences are not.
 * The rule is Go's (`utf8.DecodeRune`): after a 0 exactly one byte is skipped.
 */
export function utf8SequenceLength(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at]!;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  if (at + 1 >= end) return 0;
  const second = bytes[at + 1]!;
  if (lead < 0xe0) return isContinuation(second) ? 2 : 0;
  if (lead < 0xf0) {
    const low = lead === 0xe0 ? 0xa0 : 0x80;
    const high = lead === 0xed ? 0x9f : 0xbf;
    if (second < low || second > high || at + 2 >= end) return 0;
    return isContinuation(bytes[at + 2]!) ? 3 : 0;
  }
  const low = lead === 0xf0 ? 0x90 : 0x80;
  const high = lead === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high || at + 3 >= end) return 0;
  return isContinuation(bytes[at + 2]!) && isContinuation(bytes[at + 3]!) ? 4 : 0;
}

/** The code point of the valid sequence of `length` bytes (2 to 4) at `bytes[at]`. */
export function utf8CodePoint(bytes: Uint8Array, at: number, length: number): number {
  const lead = bytes[at]!;
  const second = bytes[at + 1]! & 0x3f;
  if (length === 2) return ((lead & 0x1f) << 6) | second;
  const third = bytes[at + 2]! & 0x3f;
  if (length === 3) return ((lead & 0x0f) << 12) | (second << 6) | third;
  return ((lead & 0x07) << 18) | (second << 12) | (third << 6) | (bytes[at + 3]! & 0x3f);
}

/** Writes a code point as UTF-8 at `target[at]`, which has room for 4 bytes; returns the length. */
export function putCodePoint(target: Uint8Array, at: number, codePoint: number): number {
  if (codePoint < 0x80) {
    target[at] = codePoint;
    return 1;
  }
  if (codePoint < 0x800) {
    target[at] = 0xc0 | (codePoint >> 6);
    target[at + 1] = 0x80 | (codePoint & 0x3f);
    return 2;
  }
  if (codePoint < 0x10000) {
    target[at] = 0xe0 | (codePoint >> 12);
    target[at + 1] = 0x80 | ((codePoint >> 6) & 0x3f);
    target[at + 2] = 0x80 | (codePoint & 0x3f);
    return 3;
  }
  target[at] = 0xf0 | (codePoint >> 18);
  target[at + 1] = 0x80 | ((codePoint >> 12) & 0x3f);
  target[at + 2] = 0x80 | ((codePoint >> 6) & 0x3f);
  target[at + 3] = 0x80 | (codePoint & 0x3f);
  return 4;
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
