/**
 * Text whose characters stand for one byte each (`latin1`): file names as map keys, exact also where they are not UTF-8.
 */
export type ByteText = string;

/** Above this, spreading into one call could exceed the stack. */
const spreadLengthMax = 4096;

/** The bytes of a name or path as text; a JavaScript string is encoded as UTF-8 first. */
export function byteTextOf(value: string | Uint8Array): ByteText {
  const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
  if (bytes.length <= spreadLengthMax) {
    return Reflect.apply(String.fromCharCode, undefined, bytes);
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** The bytes that `text` stands for. */
export function bytesOf(text: ByteText): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** For people and for records: decoded as UTF-8, what is not as U+FFFD. */
export function readableText(text: ByteText): string {
  return Buffer.from(text, 'latin1').toString('utf8');
}

/** What Go calls RuneError: stands for a byte that is not part of valid UTF-8. */
export const runeError = 0xfffd;

/**
 * Decodes one code point as Go's `utf8.DecodeRuneInString` does: strict UTF-8; a bad byte counts as U+FFFD of width 1.
 * @returns code point * 8 + width in bytes; 0 at the end of the text
 */
export function decodeRune(text: ByteText, at: number): number {
  if (at >= text.length) return 0;
  const first = text.charCodeAt(at);
  if (first < 0x80) return first * 8 + 1;
  const width = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (width === 0 || at + width > text.length) return runeError * 8 + 1;
  let rune = first & (0x7f >> width);
  for (let i = 1; i < width; i++) {
    const next = text.charCodeAt(at + i);
    if ((next & 0xc0) !== 0x80) return runeError * 8 + 1;
    rune = (rune << 6) | (next & 0x3f);
  }
  const isBad =
    (width === 3 && (rune < 0x800 || (rune >= 0xd800 && rune < 0xe000))) ||
    (width === 4 && (rune < 0x10000 || rune > 0x10ffff));
  return isBad ? runeError * 8 + 1 : rune * 8 + width;
}

/**
 * Lower case as Go's `strings.ToLower`: code point by code point, no context, bytes that are not UTF-8 become U+FFFD.
 */
export function lowerCase(text: ByteText): ByteText {
  if (isAscii(text)) return text.toLowerCase();
  let lower = '';
  for (let at = 0; at < text.length; ) {
    const decoded = decodeRune(text, at);
    at += decoded & 7;
    lower += lowerRune(decoded >>> 3);
  }
  return byteTextOf(lower);
}

function lowerRune(rune: number): string {
  // The one code point whose full mapping has two characters; Go's simple one has one.
  if (rune === 0x130) return 'i';
  return String.fromCodePoint(rune).toLowerCase();
}

function isAscii(text: ByteText): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}
