import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { readWholeFile } from '../../platform/files.ts';
import { type ByteText, bytesOf, byteTextOf } from './byte-text.ts';

/** Lists of patterns and of files: far above what people write, far below what memory holds. */
const listSizeBytesMax = 1024 * 1024 * 1024;

/** Go's white space (`unicode.IsSpace`), as the bytes of its UTF-8. */
const space =
  '(?:[\\t-\\r ]|\\xc2[\\x85\\xa0]|\\xe1\\x9a\\x80|\\xe2\\x80[\\x80-\\x8a\\xa8\\xa9\\xaf]|\\xe2\\x81\\x9f|\\xe3\\x80\\x80)';
const leadingSpace = new RegExp(`^${space}+`);
const trailingSpace = new RegExp(`${space}$`);

/** Reads the bytes of a list; `-` and the like are up to the caller. */
export type ReadBytes = (name: string) => Uint8Array;

/** Reads a list from a file. @throws FILE_NOT_FOUND, PERMISSION_DENIED, SYSTEM_CALL_FAILED */
export function readListFile(name: string): Uint8Array {
  try {
    return readWholeFile(bytesOf(byteTextOf(name)), { sizeBytesMax: listSizeBytesMax });
  } catch (error) {
    if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
    const message = `the file ${JSON.stringify(name)} does not exist`;
    throw new HoldfastError('FILE_NOT_FOUND', { message });
  }
}

/** Text of a file: UTF-16 with a byte order mark becomes UTF-8, the mark is dropped; all else stays as it is. */
export function decodeText(bytes: Uint8Array): ByteText {
  const [first, second, third] = bytes;
  if (first === 0xef && second === 0xbb && third === 0xbf) return byteTextOf(bytes.subarray(3));
  const encoding = { 0xfffe: 'utf-16le', 0xfeff: 'utf-16be' }[(first ?? 0) * 256 + (second ?? 0)];
  if (encoding === undefined) return byteTextOf(bytes);
  return byteTextOf(new TextDecoder(encoding).decode(bytes));
}

/** Lines without their ends; `\r\n` counts as one. */
export function linesOf(text: ByteText): ByteText[] {
  const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

/** Without white space at both ends, as Go's `strings.TrimSpace`. */
export function trimSpace(text: ByteText): ByteText {
  let trimmed = text.replace(leadingSpace, '');
  // One at a time from the end: an expression with "+$" would be quadratic.
  for (;;) {
    const match = trailingSpace.exec(trimmed.slice(-3));
    if (match === null) return trimmed;
    trimmed = trimmed.slice(0, -match[0].length);
  }
}
