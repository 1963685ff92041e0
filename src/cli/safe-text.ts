import { quoteName } from '../repository/name-quoting.ts';

/**
 * A path or name for people: with control characters or broken UTF-8 in it, it is quoted as Go's `%q` does, so that it
 * cannot forge lines or drive the terminal.
 */
export function safeText(path: Uint8Array | string): string {
  const bytes = typeof path === 'string' ? Buffer.from(path, 'utf8') : path;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  const quoted = quoteName(bytes);
  if (quoted === bytes) return text;
  const isPlain =
    Buffer.from(quoted)
      .toString('utf8')
      .replace(/\\(["\\])/g, '$1') === text;
  return isPlain ? text : `"${Buffer.from(quoted).toString('utf8')}"`;
}
