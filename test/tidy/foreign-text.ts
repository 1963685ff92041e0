import { type Finding, finding } from './rule.ts';

/** A file of the project as text. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** Hosts that packages come from: a lock file or a script that names one ties the project to it. */
const registryHosts = /\b(registry|npm)\.[a-z0-9-]+\.(org|com|io|dev|net)\b|\bdeb\.[a-z]+\.org\b/;
const resolvedUrl = /"resolved": "https?:/;

/** Folders that hold so much besides checkouts that naming one says nothing. */
const commonFolders = new Set(['/', '/tmp', '/home', '/root', '/opt', '/srv', '/usr/src', '/mnt']);

/**
 * Text that ties the project to one machine: its paths and the hosts of package registries.
 * @param root the folder of this checkout
 */
export function foreignText(files: readonly TextFile[], root: string): Finding[] {
  const own = root.replace(/\/+$/, '');
  const around = own.replace(/\/[^/]*$/, '') || '/';
  const paths = commonFolders.has(around) ? [own] : [`${around}/`];
  return files.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) => {
      const found: string[] = paths.filter((known) => holdsPath(line, known));
      if (registryHosts.test(line)) found.push('a registry host');
      if (resolvedUrl.test(line)) found.push('the address of a package');
      return found.map((what) => finding(path, index + 1, `names ${what}`));
    }),
  );
}

/** True if `line` has `path` as the start of a path of its own. */
function holdsPath(line: string, path: string): boolean {
  for (let at = line.indexOf(path); at >= 0; at = line.indexOf(path, at + 1)) {
    if (!/[\w.}-]/.test(line.charAt(at - 1))) return true;
  }
  return false;
}
