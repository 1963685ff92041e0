import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { type SourceFile, sourceFile } from './source-file.ts';

/** The project's root folder, with a slash at the end. */
export const root: string = fileURLToPath(new URL('../../', import.meta.url));

/** Folders with source files of ours. */
const sourceFolders = ['src', 'test', 'bench', 'scripts'];

/** Text of a file of the project. @param path from the root, with slashes */
export function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Every source file of the project, parsed. */
export function readSourceFiles(): SourceFile[] {
  return sourceFolders
    .flatMap((folder) => filesBelow(folder))
    .filter((path) => /\.(ts|tsx|mts|cts|js|mjs|cjs|jsx)$/.test(path))
    .map((path) => sourceFile(path, readText(path)));
}

/** Every file that git tracks or would track: all that a clone gets. Without git, every file outside what is built. */
export function listFiles(): string[] {
  const args = ['ls-files', '-z', '--cached', '--others', '--exclude-standard'];
  const git = spawnSync('git', args, { cwd: root, encoding: 'utf8' });
  const paths = git.status === 0 ? git.stdout.split('\0') : filesBelow('');
  return paths.filter((path) => path !== '' && existsSync(join(root, path)));
}

function filesBelow(folder: string): string[] {
  const skipped = new Set(['node_modules', 'dist', '.git', 'results', 'work']);
  return readdirSync(join(root, folder), { withFileTypes: true })
    .filter(({ name }) => !skipped.has(name))
    .flatMap((entry) => {
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) return filesBelow(path);
      return entry.isFile() ? [path] : [];
    })
    .toSorted();
}
