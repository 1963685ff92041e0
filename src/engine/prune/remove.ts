import { defined } from '../../base/assert.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import { describeError, endsWork, isHoldfastError } from '../../base/errors.ts';
import type { Id } from '../../repository/id.ts';
import { type IndexChange, rewriteIndex } from '../../repository/index-rewrite.ts';
import { shortId } from '../../repository/id.ts';
import { removeParity } from '../../repository/parity.ts';
import type { Repository } from '../../repository/repository.ts';
import type { EngineContext } from '../context.ts';
import type { PruneMonitor } from './options.ts';

/** Packs that are removed before the index lets go of them, at most, to make room for the new index files. */
const sacrificedMax = 5;

/**
 * Removes pack files that nobody needs and no index file lists any more. One that cannot be removed is told and stays:
 * it does no harm, and the next prune tries again.
 * @returns how many were removed
 */
export async function removePacks(
  repository: Repository,
  packs: readonly Id[],
  context: EngineContext<PruneMonitor>,
): Promise<number> {
  const { backend } = repository;
  const { monitor, signal } = context;
  let done = 0;
  const gone: Id[] = [];
  await forEachConcurrent(packs, backend.connectionCount, async (name) => {
    try {
      await backend.remove({ type: 'pack', name }, { signal });
      gone.push(name);
    } catch (error) {
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) gone.push(name);
      else if (endsWork(error)) throw error;
      else monitor.note(`pack ${shortId(name)} could not be removed: ${describeError(error)}`);
    }
    monitor.counted(++done, packs.length, 'files deleted');
  });
  if (gone.length > 0) await removeParity(repository, gone, { signal });
  return gone.length;
}

/**
 * Changes the index, also where the storage is full: then packs that nobody needs are removed first, one by one, until
 * there is room. Until the index is changed it lists a pack that is gone and that nobody needs, which every prune mends.
 * @param unneeded packs that the change takes from the index, the largest first
 * @throws as `rewriteIndex`
 */
export async function rewriteIndexWithoutRoom(
  repository: Repository,
  request: { readonly change: IndexChange; readonly unneeded: readonly Id[] },
  context: EngineContext<PruneMonitor>,
): Promise<void> {
  const { change, unneeded } = request;
  const { monitor, signal } = context;
  let sacrificedCount = 0;
  for (;;) {
    try {
      await rewriteIndex(repository, change, {
        signal,
        onProgress: (step, done, total) =>
          monitor.counted(
            done,
            total,
            step === 'read' ? 'indexes processed' : 'old indexes deleted',
          ),
      });
      return;
    } catch (error) {
      const isHopeless = sacrificedCount >= Math.min(sacrificedMax, unneeded.length);
      if (isHopeless || !isHoldfastError(error, 'STORAGE_FULL')) {
        if (sacrificedCount > 0) monitor.note(leftListed(sacrificedCount));
        throw error;
      }
      const name = defined(unneeded[sacrificedCount++], 'there is another pack');
      monitor.note('the storage is full: a pack that is not needed goes first, to make room');
      await removePacks(repository, [name], context);
    }
  }
}

/** Holdfast looks whether a pack is there before it leans on it; not every program does. */
function leftListed(count: number): string {
  return (
    `${count} packs that nobody needs are gone, and the index lists them still: ` +
    'let no other program back up to this repository before a prune has ended well'
  );
}
