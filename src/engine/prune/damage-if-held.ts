import { isHoldfastError } from '../../base/errors.ts';
import type { Repository } from '../../repository/repository.ts';

/**
 * Does work that reads a repository alone, and tells of damage only while its lock is certain: what is missing for who
 * slept past his lock was removed by others, who took him for gone.
 * @throws LOCK_LOST in place of damage if the lock is lost; else what `work` throws
 */
export async function damageIfHeld<T>(repository: Repository, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isDamage = isHoldfastError(
      error,
      'BLOB_DAMAGED',
      'BLOB_NOT_FOUND',
      'TREE_DAMAGED',
      'FILE_NOT_FOUND',
      'SNAPSHOT_NOT_FOUND',
      'INDEX_DAMAGED',
      'PACK_DAMAGED',
    );
    if (isDamage) await repository.certain();
    throw error;
  }
}
