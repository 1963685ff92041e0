import { assert, defined } from '../../base/assert.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import type { WorkerPool } from '../../kernels/worker-pool.ts';
import type { TargetDirectory } from './directories.ts';
import type { ComparedFile, RestoreEvent, RestoreRequest, RestoreResponse } from './messages.ts';

/** Files of one message. */
const filesPerMessage = 256;

/** The threads of a restore. */
export type RestorePool = WorkerPool<RestoreRequest, RestoreResponse, RestoreEvent>;

/** A file in the target, and what it should hold. */
export interface FileToCompare {
  readonly directory: TargetDirectory;
  readonly name: Uint8Array;
  /** Ids of the blobs, 32 bytes each. */
  readonly content: Uint8Array;
}

/**
 * Reads files of the target, in the threads of the pool, and compares them with what they should hold.
 * @param fds descriptors of the directories of all `files`
 * @returns in the order of `files`
 */
export async function compareFiles(
  pool: RestorePool,
  files: readonly FileToCompare[],
  fds: ReadonlyMap<TargetDirectory, number>,
): Promise<ComparedFile[]> {
  const compared: ComparedFile[] = [];
  const starts = Array.from({ length: Math.ceil(files.length / filesPerMessage) }, (_, i) => i);
  await forEachConcurrent(starts, pool.size, async (number) => {
    const start = number * filesPerMessage;
    const part = files.slice(start, start + filesPerMessage);
    const request = part.map(({ directory, name, content }) => ({
      directory: defined(fds.get(directory), 'the directory of a compared file is open'),
      name,
      content,
    }));
    const response = await pool.run({ type: 'compare', files: request });
    assert(response.type === 'compared', 'a comparison is answered by one');
    assert(response.files.length === part.length, 'each file is compared');
    for (const [i, file] of response.files.entries()) compared[start + i] = file;
  });
  return compared;
}
