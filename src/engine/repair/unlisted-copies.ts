import { toHex } from '../../base/bytes.ts';
import { throwIfAborted } from '../../base/abort.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import type { Id } from '../../repository/id.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import type { PackedBlob } from '../../repository/blob.ts';
import type { Repository } from '../../repository/repository.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { EngineContext } from '../context.ts';
import { storedPackSizes } from '../packs/stored-packs.ts';
import { readHeldBlobs } from './held-blobs.ts';
import { loadIndexListing } from './index-listing.ts';
import { findWanted } from './wanted-blobs.ts';

/**
 * Makes sure that nothing the snapshots lack lies in a pack that no index file lists: an index file that is gone makes
 * sound data look lost. Reads such packs whole, if there are any and something is lacking. Those that a prune marked do not
 * count.
 * @throws INDEX_DAMAGED if something does; what the storage throws when it cannot read
 */
export async function refuseUnlistedCopies(
  repository: Repository,
  snapshots: readonly StoredSnapshot[],
  context: EngineContext,
): Promise<void> {
  const { signal } = context;
  const { index, markedPacks } = await loadIndexListing(repository, context);
  const { others } = await storedPackSizes(repository, index, { signal });
  const unlisted = [...others].filter(([id]) => !markedPacks.has(id));
  if (unlisted.length === 0) return;
  const wanted = await findWanted(new IndexedRepository(repository, index), snapshots, context);
  if (wanted.size === 0) return;
  for (const [id, sizeBytes] of unlisted) {
    throwIfAborted(signal);
    for (const blob of await soundBlobs(repository, { id, sizeBytes }, context)) {
      if (wanted.has(blob.type, blob.id)) throw unlistedError(id, blob);
    }
  }
}

/** What can be read of a pack; nothing if it is none. */
async function soundBlobs(
  repository: Repository,
  pack: { readonly id: Id; readonly sizeBytes: number },
  { signal }: EngineContext,
): Promise<Iterable<PackedBlob>> {
  try {
    const { header, remains } = await readHeldBlobs(repository, pack, { signal });
    return remains ? remains.sound : header.iterate();
  } catch (error) {
    if (isHoldfastError(error, 'PACK_DAMAGED', 'FILE_NOT_FOUND', 'RANGE_NOT_SATISFIABLE'))
      return [];
    throw error;
  }
}

function unlistedError(pack: Id, { id }: PackedBlob): HoldfastError {
  return new HoldfastError('INDEX_DAMAGED', {
    message: 'what the snapshots seem to lack lies in packs that no index file lists',
    details: { pack, blob: toHex(id) },
    hint: 'Nothing was changed. Run "holdfast repair index" first, then repair the snapshots.',
  });
}
