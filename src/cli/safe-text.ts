import { concatBytes } from '../base/bytes.ts';
import type { WalkedNode } from '../engine/trees/walk-paths.ts';
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

/** A line of a listing: the path alone or, with `head` before it, also what a link points to. */
export function pathLine(
  { path, node }: WalkedNode,
  options: { readonly isTerminal: boolean; readonly head?: string },
): Uint8Array {
  const parts = [pathBytes(path, options.isTerminal)];
  if (options.head !== undefined) {
    parts.unshift(options.head);
    if (node.linkTarget) parts.push(' -> ', pathBytes(node.linkTarget, options.isTerminal));
  }
  return concatBytes([...parts, '\n'].map((part) => Buffer.from(part)));
}

/** A path for standard output: safe on a terminal, its own bytes where another program reads them. */
function pathBytes(path: Uint8Array, isTerminal: boolean): Uint8Array | string {
  return isTerminal ? safeText(path) : path;
}
