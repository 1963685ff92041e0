import { createHash } from 'node:crypto';

import { type FileHandle, type FileType, isFileName } from './backend.ts';

/** Whether the name of a file is the SHA-256 of its content. */
export function isNamedByContent({ type }: Pick<FileHandle, 'type'>): boolean {
  return type !== 'config' && type !== 'parity';
}

/**
 * The header `Repr-Digest` with which a server says what it stored (RFC 9530): of the hash that a file is named after. Undefined for one that is
 * not.
 */
export function digestOf(handle: FileHandle): string | undefined {
  if (!isNamedByContent(handle)) return undefined;
  return `sha-256=:${Buffer.from(handle.name, 'hex').toString('base64')}:`;
}

/** The hash of a content that comes in parts. */
export function hashParts(parts: readonly Uint8Array[], algorithm: 'sha256' | 'md5'): Buffer {
  const hash = createHash(algorithm);
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** The file of `type` that stands at a path of a listing, by where `pathOf` puts files; undefined if none of ours stands there. */
export function handleAt(
  path: string,
  type: FileType,
  pathOf: (handle: FileHandle) => string,
): FileHandle | undefined {
  const handle = { type, name: path.slice(path.lastIndexOf('/') + 1) };
  return isFileName(handle.name) && pathOf(handle) === path ? handle : undefined;
}
