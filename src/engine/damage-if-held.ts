import { isHoldfastError } from '../base/errors.ts';
import type { Repository } from '../repository/repository.ts';
import { movedMeanwhile } from '../repository/repository-guard.ts';

/**
 * Does work that reads a repository, and tells of damage only if its lock was certain all the time: what is missing for
 * who slept past his lock was moved or removed by others, who took him for gone.
 * @throws LOCK_LOST in place of damage if the lock is or was lost; else what `work` throws
 */
export async function damageIfHeld<T>(repository: Repository, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isDamage(error)) await assertNeverAway(repository, error);
    throw error;
  }
}

/** True for an error that says that something stored is missing or has other bytes. */
export function isDamage(error: unknown): boolean {
  return isHoldfastError(
    error,
    'BLOB_DAMAGED',
    'BLOB_NOT_FOUND',
    'TREE_DAMAGED',
    'FILE_NOT_FOUND',
    'SNAPSHOT_NOT_FOUND',
    'INDEX_DAMAGED',
    'PACK_DAMAGED',
    // No snapshot is left of those that were listed.
    'PRUNE_REFUSED',
  );
}

/**
 * What was missing was missing for sure: the lock was certain all the time since the repository was opened, and is.
 * Not only since the work at hand began, for what that was told to read was chosen before.
 * @param damage what was met, if it is one error
 * @throws LOCK_LOST if others may have caused it meanwhile; what the storage throws
 */
export async function assertNeverAway(repository: Repository, damage?: unknown): Promise<void> {
  await repository.certain();
  if (repository.absences.count > 0) throw movedMeanwhile(damage);
}
