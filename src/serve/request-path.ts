import { type FileType, isFileName } from '../storage/backend.ts';
import { repositoryLayout } from '../storage/layout.ts';

/** What a request is about. `folders` lead from the root of the server to the repository. */
export type Subject =
  | { readonly kind: 'repository'; readonly folders: readonly string[] }
  | { readonly kind: 'list'; readonly folders: readonly string[]; readonly type: FileType }
  | {
      readonly kind: 'file';
      readonly folders: readonly string[];
      readonly type: FileType;
      readonly name: string;
    };

/** Types by the names that the protocol has for them: those of their folders. */
const types: ReadonlyMap<string, FileType> = new Map(
  Object.entries(repositoryLayout.folders)
    .filter(([, folder]) => folder !== '')
    .map(([type, folder]) => [folder, type as FileType]),
);

/** What the protocol calls files of a type, also in metrics. */
export function typeName(type: FileType): string {
  return repositoryLayout.folders[type] || 'config';
}

const folderCountMax = 2;
const folderSizeBytesMax = 255;

/** True for what can be a folder of a repository, or a user: it is no word of the protocol, and leads nowhere else. */
export function isFolderName(name: string): boolean {
  if (name === 'config' || types.has(name)) return false;
  if (Buffer.byteLength(name) > folderSizeBytesMax) return false;
  // A leading point would also lead to the file of users.
  return /^[^./\\\p{Cc}][^/\\\p{Cc}]*$/u.test(name);
}

/**
 * Reads the path of a request. Only what this gives is ever looked for on the disk: up to two folders, a type and a name of 64
 * digits.
 * @param path of a URL, without its query
 * @returns undefined for what no repository has
 */
export function parseRequestPath(path: string): Subject | undefined {
  const words = decode(path);
  if (!words) return undefined;
  const count = words.findIndex((word) => !isFolderName(word));
  // The last word of the path of a repository is empty.
  if (count < 0 || count > folderCountMax) return undefined;
  const folders = words.slice(0, count);
  const [first = '', second, ...more] = words.slice(count);
  if (more.length > 0) return undefined;
  if (second === undefined) {
    if (first === '') return { kind: 'repository', folders };
    return first === 'config' ? { kind: 'file', folders, type: 'config', name: '' } : undefined;
  }
  const type = types.get(first);
  if (type === undefined) return undefined;
  if (second === '') return { kind: 'list', folders, type };
  return isFileName(second) ? { kind: 'file', folders, type, name: second } : undefined;
}

function decode(path: string): string[] | undefined {
  const [start, ...words] = path.split('/');
  if (start !== '' || words.length > folderCountMax + 2) return undefined;
  try {
    return words.map((word) => decodeURIComponent(word));
  } catch {
    return undefined;
  }
}
