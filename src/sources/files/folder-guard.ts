import type { FileStatus } from '../../platform/status.ts';

/** What tells one directory from every other, whatever path or mount leads to it. */
export interface FolderIdentity {
  readonly device: FileStatus['device'];
  readonly inode: FileStatus['inode'];
}

/** `own`: left out silently (the cache). `forbidden`: must not be in a source (the repository). */
export type FolderRole = 'own' | 'forbidden';

/** Folders that a source must not read. */
export class FolderGuard {
  readonly #folders: (FolderIdentity & { readonly role: FolderRole })[] = [];

  add(folder: FolderIdentity, role: FolderRole): void {
    this.#folders.push({ device: folder.device, inode: folder.inode, role });
  }

  /** The role of a directory with this status; undefined for all others. */
  roleOf(status: FileStatus): FolderRole | undefined {
    for (const folder of this.#folders) {
      if (isSameFolder(folder, status)) return folder.role;
    }
    return undefined;
  }
}

/** True if both are the same directory. */
export function isSameFolder(a: FolderIdentity, b: FolderIdentity): boolean {
  return a.inode === b.inode && a.device === b.device;
}
