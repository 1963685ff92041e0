import { defined } from '../base/assert.ts';
import { fromHex } from '../base/bytes.ts';

/** A SHA-256 as 64 lower-case hex digits: name of a repository file or of a blob. */
export type Id = string;

/** Bytes of an id. */
export const idSizeBytes = 32;

const idPattern = /^[0-9a-f]{64}$/;

/** True for 64 lower-case hex digits; anything else found in a repository is not a name of ours. */
export function isId(text: string): boolean {
  return idPattern.test(text);
}

/** The first 8 digits, for people. */
export function shortId(id: Id): string {
  return id.slice(0, 8);
}

/** The 32 bytes of an id. */
export function idBytes(id: Id): Uint8Array<ArrayBuffer> {
  return defined(fromHex(id), 'an id is hex');
}
