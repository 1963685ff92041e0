import { HoldfastError } from '../../base/errors.ts';
import { resolvePath } from '../../platform/files.ts';
import { tryReadStatus, type FileStatus } from '../../platform/status.ts';
import type { EntrySelect } from '../trees/entry-select.ts';

const slash = 0x2f;
/** More folders above one another than any path has. */
const depthMax = 4096;

/**
 * Holds a restore back from the repository that it reads: in its folder nothing is written, and where it lies inside the
 * target nothing is deleted. Folders are compared as such, whatever links lead to them.
 *
 * @param repository folder of the repository; undefined if it is not on this machine
 * @param how.select what is deleted; all if absent
 * @throws TARGET_FAILED
 */
export function assertTargetApart(
  repository: string | undefined,
  target: Uint8Array,
  { deletes, select }: { readonly deletes: boolean; readonly select?: EntrySelect | undefined },
): void {
  if (repository === undefined) return;
  const folder = Buffer.from(repository);
  const own = tryReadStatus(folder, { follow: true });
  if (!own) return;
  const isOwn = (status: FileStatus): boolean => isSame(status, own);
  if (foldersUpFrom(target).some(isOwn)) {
    throw new HoldfastError('TARGET_FAILED', {
      message: 'the target lies in the repository that is to be restored from',
      hint: 'Restore to another folder; nothing was changed.',
    });
  }
  const place = tryReadStatus(target, { follow: true });
  if (!deletes || !place) return;
  if (!foldersUpFrom(folder).some((status) => isSame(status, place))) return;
  if (select && !mayDelete(select, pathBelow(target, folder))) return;
  throw new HoldfastError('TARGET_FAILED', {
    message: 'the repository lies in the target, and --delete could remove it',
    hint: 'Restore without --delete, or to another folder; nothing was changed.',
  });
}

/** Whether a folder, something above it or something in it may be selected. @param path below the target */
function mayDelete(select: EntrySelect, path: Uint8Array | undefined): boolean {
  // Links or mounts lead there in a way that patterns cannot be held against.
  if (!path) return true;
  for (let end = path.indexOf(slash, 1); end > 0; end = path.indexOf(slash, end + 1)) {
    if (select(path.subarray(0, end), true).selected) return true;
  }
  const { selected, mayHoldSelected } = select(path, true);
  return selected || mayHoldSelected;
}

/** The path of `folder` from `target` on, with a slash in front; undefined if there is none. */
function pathBelow(target: Uint8Array, folder: Uint8Array): Uint8Array | undefined {
  const [above, below] = [resolvePath(target), resolvePath(folder)];
  if (!above || !below) return undefined;
  const rootSizeBytes = above.at(-1) === slash ? above.byteLength - 1 : above.byteLength;
  const isBelow = Buffer.compare(
    below.subarray(0, rootSizeBytes),
    above.subarray(0, rootSizeBytes),
  );
  if (isBelow !== 0 || below[rootSizeBytes] !== slash) return undefined;
  return below.subarray(rootSizeBytes);
}

/** A folder and all above it. Of one that is to be made yet, those that are there. */
function foldersUpFrom(path: Uint8Array): FileStatus[] {
  const found: FileStatus[] = [];
  let at = Buffer.from(path);
  while (!tryReadStatus(at, { follow: true })) {
    const slash = at.lastIndexOf(0x2f);
    at = slash < 0 ? Buffer.from('.') : at.subarray(0, Math.max(slash, 1));
  }
  for (let depth = 0; depth < depthMax; depth++) {
    const status = tryReadStatus(at, { follow: true });
    const below = found.at(-1);
    // Above the root is the root.
    if (!status || (below && isSame(status, below))) return found;
    found.push(status);
    at = Buffer.concat([at, Buffer.from('/..')]);
  }
  return found;
}

function isSame(a: FileStatus, b: FileStatus): boolean {
  return a.inode === b.inode && a.device === b.device;
}
