import { assert } from '../base/assert.ts';

/** A name below an opened directory: resolved without following links, whatever happens to the path above. */
export interface EntryPlace {
  /** File descriptor of the directory. */
  readonly directory: number;
  /** One component in raw bytes; never empty, `.`, `..`, or with `/` or NUL. */
  readonly name: Uint8Array;
}

/**
 * Where a call acts: a path in raw bytes (any length, also beyond PATH_MAX), a file descriptor, or a name below an
 * opened directory. File descriptors belong to the process: one opened by one thread serves every worker thread.
 */
export type Place = Uint8Array | number | EntryPlace;

const slash = 0x2f;
const dot = 0x2e;

/**
 * Throws ASSERTION_FAILED unless `name` is one path component.
 *
 * Names from a repository are checked where they enter; this is the second lock that keeps every write below the
 * opened directory (hazard D5).
 */
export function assertComponent(name: Uint8Array): void {
  const length = name.length;
  assert(length > 0, 'a name is not empty');
  for (let i = 0; i < length; i++) {
    const byte = name[i];
    if (byte === 0 || byte === slash) assert(false, 'a name has no slash and no zero byte');
  }
  const isDots = name[0] === dot && (length === 1 || (length === 2 && name[1] === dot));
  assert(!isDots, 'a name is neither . nor ..');
}

/** `path` as text for a person: control characters and bytes that are not UTF-8 as `\xNN`. Not reversible. */
export function printablePath(path: Uint8Array): string {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(path);
  const isClean = !text.includes('\ufffd') && !hasControls(text);
  if (isClean) return text;
  return Array.from(path, (byte) =>
    byte < 0x20 || byte >= 0x7f ? `\\x${byte.toString(16).padStart(2, '0')}` : charOf(byte),
  ).join('');
}

function charOf(byte: number): string {
  return String.fromCharCode(byte);
}

function hasControls(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true;
  }
  return false;
}
