import { HoldfastError } from '../base/errors.ts';
import { readWholeFile } from '../platform/files.ts';
import { printablePath } from '../platform/place.ts';

const argumentsSizeBytesMax = 64 * 1024 * 1024;
const replacement = '\ufffd';
const dash = 0x2d;

/**
 * Values of arguments and variables of this process as bytes. Node decodes them as UTF-8, which loses what is none; where
 * that happened, the bytes are taken from the system.
 */
export function rawArguments(values: readonly string[]): (string | Uint8Array)[] {
  if (!values.some((text) => text.includes(replacement))) return [...values];
  const raw = [...processTexts('/proc/self/cmdline'), ...processTexts('/proc/self/environ')];
  return values.map((text) => {
    if (!text.includes(replacement)) return text;
    for (const [i, bytes] of raw.entries()) {
      const value = valueIn(bytes, text);
      if (!value) continue;
      // Several may decode to the same text: each is used once, in order.
      raw.splice(i, 1);
      return value;
    }
    return text;
  });
}

/** The path that a flag, an argument or a variable gave, as bytes. */
export function rawPath(text: string): Uint8Array {
  const [raw = text] = rawArguments([text]);
  return Buffer.from(raw);
}

/**
 * Refuses a text that is no longer what was given: it would lead elsewhere.
 * @param what it is, for the message: `repository location`
 * @throws USAGE
 */
export function assertDecoded(text: string, what: string): void {
  if (!text.includes(replacement)) return;
  const bytes = rawPath(text);
  if (Buffer.from(bytes).toString('utf8') === text && Buffer.from(text).equals(bytes)) return;
  throw new HoldfastError('USAGE', {
    message: `the ${what} "${printablePath(bytes)}" is not UTF-8, which Holdfast cannot use here`,
    hint: 'Name it by another path, such as a link to it.',
  });
}

/** The value in an argument (`VALUE`, `--flag=VALUE`, `-fVALUE`) or variable (`NAME=VALUE`) that decodes to `text`. */
function valueIn(bytes: Uint8Array, text: string): Uint8Array | undefined {
  if (decoded(bytes) === text) return bytes;
  if (!decoded(bytes).endsWith(text)) return undefined;
  const equals = bytes.indexOf(0x3d);
  const starts = equals < 0 ? [] : [equals + 1];
  // Of short flags any number may stand before the one that has the value.
  if (bytes[0] === dash && bytes[1] !== dash) {
    for (let start = 2; start < bytes.byteLength; start++) starts.push(start);
  }
  const start = starts.find((at) => decoded(bytes.subarray(at)) === text);
  return start === undefined ? undefined : bytes.subarray(start);
}

function decoded(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** Texts that end with a zero byte each; none where the system does not tell. */
function processTexts(path: string): Uint8Array[] {
  try {
    const bytes = readWholeFile(Buffer.from(path), { sizeBytesMax: argumentsSizeBytesMax });
    const parts: Uint8Array[] = [];
    for (let start = 0; start < bytes.byteLength; ) {
      const end = bytes.indexOf(0, start);
      if (end < 0) break;
      parts.push(bytes.subarray(start, end));
      start = end + 1;
    }
    return parts;
  } catch {
    return [];
  }
}
