import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

interface Entry {
  /** Below the folder. */
  readonly path: string;
  readonly isFile: boolean;
  /** Permissions and kind. */
  readonly mode: number;
  readonly sizeBytes: number;
}

function entriesOf(folder: string): Entry[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => {
    const place = join(entry.parentPath, entry.name);
    const { mode, size } = lstatSync(place);
    return { path: relative(folder, place), isFile: entry.isFile(), mode, sizeBytes: size };
  });
}

/** A digest of a folder: equal only where all names, permissions and bytes are. */
export function printOf(folder: string): string {
  const hash = createHash('sha256');
  for (const { path, isFile, mode } of entriesOf(folder).toSorted((a, b) =>
    a.path < b.path ? -1 : 1,
  )) {
    const bytes = isFile ? readFileSync(join(folder, path)) : '';
    hash.update(`${path}\0${mode}\0${bytes.length}\0`).update(bytes);
  }
  return hash.digest('hex');
}

/** Of packs that are alike: compressed trees with other times of the folders above differ by some bytes. */
const packSizeStepBytes = 512;

/**
 * What a run of a command leaves, without what is another in each run that goes the same way: names that are hashes,
 * nonces, ids, times, and the sizes of documents, which compressed times and ids change by some bytes. There are: all
 * folders, how many files of each kind, each pack by about its size, files that were being written, and all permissions.
 */
export function shapeOf(repository: string): string {
  const lines = entriesOf(repository).map(({ path, isFile, mode, sizeBytes }) => {
    if (!isFile) return `${mode} ${path}/`;
    const [folder = ''] = path.split('/');
    const isWhole = path === 'config' || /(?:^|\/)[0-9a-f]{64}$/.test(path);
    const size = folder === 'data' && isWhole ? Math.round(sizeBytes / packSizeStepBytes) : '';
    return `${mode} ${folder} ${isWhole ? 'whole' : 'temporary'} ${size}`;
  });
  return lines.toSorted().join('\n');
}
