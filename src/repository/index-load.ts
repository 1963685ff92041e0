import { forEachConcurrent } from '../base/concurrency.ts';
import { HoldfastError, isHoldfastError } from '../base/errors.ts';
import type { CallOptions, FileStat } from '../storage/backend.ts';
import { BlobIndex } from './blob-index.ts';
import { decodeIndexInto } from './index-file.ts';
import { DecodedIndex } from './index-decoded.ts';
import type { Id } from './id.ts';
import type { Repository } from './repository.ts';

export interface LoadIndexOptions extends CallOptions {
  /**
   * Hears of index files that cannot be used (INDEX_DAMAGED, UNPACKED_DAMAGED, FILE_NOT_FOUND); the rest is loaded. Without it the
   * first such file is thrown.
   */
  readonly onProblem?: (error: HoldfastError) => void;
}

/**
 * Loads all index files of a repository.
 *
 * List snapshots before, so that all they refer to is in the index.
 * @throws INDEX_DAMAGED, UNPACKED_DAMAGED; what the backend throws
 */
export async function loadIndex(
  repository: Repository,
  options: LoadIndexOptions = {},
): Promise<BlobIndex> {
  const files = await listIndexFiles(repository, options);
  const index = BlobIndex.create({ random: repository.environment.random });
  const scratch = new DecodedIndex();
  await forEachConcurrent(files, repository.backend.connectionCount, async ({ name }) => {
    try {
      const json = await repository.loadUnpacked('index', name, options);
      decodeIndexInto(json, index, { version: repository.config.version, scratch });
    } catch (error) {
      report(name, error, options);
    }
  });
  return index;
}

async function listIndexFiles(
  repository: Pick<Repository, 'backend'>,
  options: CallOptions,
): Promise<FileStat[]> {
  const files: FileStat[] = [];
  for await (const file of repository.backend.list('index', options)) files.push(file);
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function report(id: Id, error: unknown, options: LoadIndexOptions): void {
  if (!isHoldfastError(error, 'INDEX_DAMAGED', 'UNPACKED_DAMAGED', 'FILE_NOT_FOUND')) throw error;
  const named = new HoldfastError(error.code, {
    message: error.message,
    details: { ...error.details, index: id },
    cause: error,
  });
  if (!options.onProblem) throw named;
  options.onProblem(named);
}
