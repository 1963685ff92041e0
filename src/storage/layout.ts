import { assert, defined } from '../base/assert.ts';
import { type FileHandle, type FileType, isFileName } from './backend.ts';

/** Where the files of each type stand below the root folder. */
export interface Layout {
  /** Folder of a type below the root, `''` for the root itself; absent types cannot be stored. */
  readonly folders: Readonly<Partial<Record<FileType, string>>>;
  /** Types whose folder has one folder for each first byte of the names: `data/ab/abcd…`. */
  readonly fannedOut: readonly FileType[];
  /** Types whose folder is made with their first file, not with the repository. */
  readonly madeLater?: readonly FileType[];
}

/** Layout of a repository. @see docs/FORMAT.md#layout */
export const repositoryLayout: Layout = {
  folders: {
    config: '',
    key: 'keys',
    lock: 'locks',
    snapshot: 'snapshots',
    index: 'index',
    pack: 'data',
    parity: 'parity',
  },
  fannedOut: ['pack'],
  madeLater: ['parity'],
};

/** Layout of one repository's part of the local cache. @see docs/FORMAT.md#cache */
export const cacheLayout: Layout = {
  folders: { snapshot: 'snapshots', index: 'index', pack: 'data' },
  fannedOut: ['snapshot', 'index', 'pack'],
};

/** Types whose names, once removed, must not come back after a power cut while what they refer to is gone. */
export const durablyRemoved: readonly FileType[] = ['config', 'key', 'snapshot', 'index'];

/** The 256 folder names `00` to `ff`. */
export const fanNames: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
);

/** A file below the root: `folders` from the root to it, then its name. */
export interface Place {
  readonly folders: readonly string[];
  readonly name: string;
}

/** The folder of `type`; asserts that the layout has one. */
export function folderOf(layout: Layout, type: FileType): string {
  return defined(layout.folders[type], `the layout stores files of type ${type}`);
}

/** Where `handle` stands; asserts that its name cannot lead elsewhere. */
export function placeOf(layout: Layout, handle: FileHandle): Place {
  const folder = folderOf(layout, handle.type);
  if (handle.type === 'config') {
    assert(handle.name === '', 'config has no name');
    return { folders: [], name: 'config' };
  }
  assert(isFileName(handle.name), 'a file name is 64 lower-case hex digits');
  const isFanned = layout.fannedOut.includes(handle.type);
  return {
    folders: isFanned ? [folder, handle.name.slice(0, 2)] : [folder],
    name: handle.name,
  };
}
