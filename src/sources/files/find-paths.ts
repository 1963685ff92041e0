import { compareBytes } from '../../base/bytes.ts';
import { isHoldfastError } from '../../base/errors.ts';
import { listDirectory } from '../../platform/directory.ts';
import { tryReadStatus } from '../../platform/status.ts';
import { type ByteText, bytesOf, byteTextOf } from './byte-text.ts';
import { joinPath } from './clean-path.ts';
import { Glob } from './glob.ts';

/**
 * Paths that match a pattern, as Go's `filepath.Glob`: `*`, `?`, `[a-z]` in every component, no `**`; names with a
 * leading dot are as good as others; a directory that cannot be read has no entries. Sorted directory by directory.
 * @param workingDirectory what a relative pattern is relative to; the paths stay relative
 * @throws PATTERN_INVALID
 */
export function findPaths(pattern: ByteText, workingDirectory: ByteText): ByteText[] {
  if (!hasWildcard(pattern)) return exists(pattern, workingDirectory) ? [pattern] : [];
  const slash = pattern.lastIndexOf('/');
  const glob = new Glob(pattern.slice(slash + 1));
  const parent = slash < 0 ? '.' : slash === 0 ? '/' : pattern.slice(0, slash);
  // A pattern that ends in a slash has the empty name as its last component: nothing is called so.
  const parents = parent === pattern ? [] : findPaths(parent, workingDirectory);
  return parents.flatMap((directory) => namesIn(directory, workingDirectory, glob));
}

/** True if a pattern is more than a path: without, it stands for itself. */
export function hasWildcard(pattern: ByteText): boolean {
  return /[*?[\\]/.test(pattern);
}

function namesIn(directory: ByteText, workingDirectory: ByteText, glob: Glob): ByteText[] {
  const path = bytesOf(fromWorking(directory, workingDirectory));
  try {
    if (tryReadStatus(path, { follow: true })?.kind !== 'directory') return [];
    const names = listDirectory(path).sort(compareBytes).map(byteTextOf);
    return names.filter((name) => glob.matches(name)).map((name) => joinPath(directory, name));
  } catch (error) {
    if (isHoldfastError(error)) return [];
    throw error;
  }
}

function exists(path: ByteText, workingDirectory: ByteText): boolean {
  try {
    return tryReadStatus(bytesOf(fromWorking(path, workingDirectory))) !== undefined;
  } catch (error) {
    if (isHoldfastError(error)) return false;
    throw error;
  }
}

function fromWorking(path: ByteText, workingDirectory: ByteText): ByteText {
  return path.startsWith('/') ? path : `${workingDirectory}/${path}`;
}
