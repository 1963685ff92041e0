import type { ByteText } from './byte-text.ts';

/**
 * The shortest equal path by text alone, as Go's `filepath.Clean`: no `.`, no doubled or trailing slash, `..` resolved
 * where possible (without asking the file system); the empty path becomes `.`.
 */
export function cleanPath(path: ByteText): ByteText {
  const isRooted = path.startsWith('/');
  const kept: ByteText[] = [];
  for (const component of path.split('/')) {
    if (component === '' || component === '.') continue;
    if (component !== '..') kept.push(component);
    else if (kept.length > 0 && kept.at(-1) !== '..') kept.pop();
    else if (!isRooted) kept.push('..');
  }
  if (isRooted) return `/${kept.join('/')}`;
  return kept.length === 0 ? '.' : kept.join('/');
}

/** Components of a cleaned path, without the root. `.` and `/` have none. */
export function componentsOf(path: ByteText): ByteText[] {
  return path.split('/').filter((component) => component !== '' && component !== '.');
}

/** `base` and `name` joined and cleaned. */
export function joinPath(base: ByteText, name: ByteText): ByteText {
  return cleanPath(base === '' ? name : `${base}/${name}`);
}

/** `path` made absolute by text: cleaned, below `workingDirectory` if it is relative. */
export function absolutePath(path: ByteText, workingDirectory: ByteText): ByteText {
  return path.startsWith('/') ? cleanPath(path) : cleanPath(`${workingDirectory}/${path}`);
}
