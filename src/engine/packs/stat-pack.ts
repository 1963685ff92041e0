import { isHoldfastError } from '../../base/errors.ts';
import type { Id } from '../../repository/id.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CallOptions } from '../../storage/backend.ts';

/**
 * Size of a stored pack in bytes, or undefined if the storage says by name that there is none: what a listing lacks, or
 * has in another size than it should be, may only be late in it.
 * @throws what the storage throws when it cannot tell
 */
export async function statPack(
  repository: Repository,
  id: Id,
  options: CallOptions,
): Promise<number | undefined> {
  try {
    return (await repository.backend.stat({ type: 'pack', name: id }, options)).sizeBytes;
  } catch (error) {
    if (isHoldfastError(error, 'FILE_NOT_FOUND')) return undefined;
    throw error;
  }
}
