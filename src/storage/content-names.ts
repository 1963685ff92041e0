import type { FileHandle } from './backend.ts';

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
