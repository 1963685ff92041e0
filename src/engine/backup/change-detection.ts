import type { BlobIndex } from '../../repository/blob-index.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { equalTimes } from './node.ts';
import type { BackupOptions } from './options.ts';

const idSizeBytes = 32;

/**
 * True if a file is taken to be as it was when `previous` was stored: same type, size, times and inode.
 * The device is never compared: it changes with every mount. @see docs/FORMAT.md#backup
 */
export function isUnmodified(
  node: TreeNode,
  previous: TreeNode,
  options: Pick<BackupOptions, 'ignoreCtime' | 'ignoreInode'>,
): boolean {
  if (previous.type !== 'file' || !previous.content) return false;
  if (node.sizeBytes !== previous.sizeBytes || !equalTimes(node.mtime, previous.mtime))
    return false;
  if (options.ignoreInode) return true;
  if (node.inode !== previous.inode) return false;
  return options.ignoreCtime === true || equalTimes(node.ctime, previous.ctime);
}

/** True if every chunk of `content` is in the index. */
export function hasAllChunks(index: BlobIndex, content: Uint8Array): boolean {
  for (let offset = 0; offset < content.byteLength; offset += idSizeBytes) {
    if (index.find('data', content, offset) < 0) return false;
  }
  return true;
}
