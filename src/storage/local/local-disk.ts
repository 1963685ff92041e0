import { fileSystemOf } from './files.ts';

/**
 * Filesystems of Linux that one kernel alone looks after, by the number that statfs(2) gives. Not those of a network, of
 * FUSE, of virtual machines' shared folders or of clusters: there the names that one machine sees may be older than what another wrote.
 * Not overlayfs: what lies below it may be any of them.
 * @see linux/magic.h
 */
const localTypes: ReadonlySet<number> = new Set([
  0xef53, // ext2, ext3, ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0x2fc12fc1, // ZFS
  0xf2f52010, // F2FS
  0xca451a4e, // bcachefs
  0x01021994, // tmpfs
]);

/** Whether a folder is on a filesystem of this machine alone. False also if that cannot be found out. */
export async function isOnLocalDisk(folder: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  try {
    return localTypes.has((await fileSystemOf(folder)).type);
  } catch {
    return false;
  }
}
