import { formatBytes } from '../base/bytes.ts';
import type { TreeNode } from '../repository/tree.ts';
import { formatLocalTime } from './format.ts';

/** Letters of Go's FileMode from bit 31 down. */
const modeLetters: readonly string[] = Array.from('dalTLDpSugct?');
const permissionLetters: readonly string[] = Array.from('rwxrwxrwx');

/** A Go FileMode as text: `drwxr-xr-x`, `Lrwxrwxrwx`, `urwxr-xr-x`. */
export function formatMode(mode: number): string {
  let letters = '';
  for (const [i, letter] of modeLetters.entries()) {
    if (Math.floor(mode / 2 ** (31 - i)) % 2 === 1) letters += letter;
  }
  const permissions = permissionLetters.map((letter, i) =>
    (mode & (1 << (8 - i))) === 0 ? '-' : letter,
  );
  return (letters || '-') + permissions.join('');
}

/** What stands before the path in a long listing, as restic prints it. */
export function formatLongHead(
  node: TreeNode,
  options: { readonly humanReadable: boolean },
): string {
  const size = options.humanReadable
    ? formatBytes(node.sizeBytes)
    : String(node.sizeBytes).padStart(6);
  return [
    formatMode(node.mode),
    String(node.uid).padStart(5),
    String(node.gid).padStart(5),
    size,
    formatLocalTime(node.mtime),
    '',
  ].join(' ');
}
