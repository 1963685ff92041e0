import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { releaseBuffer } from '../../base/release.ts';
import { IndexWriter } from '../../repository/index-writer.ts';
import type { EngineContext } from '../context.ts';
import { transferBlobs } from '../packs/transfer.ts';
import { usedMark } from '../trees/used-blobs.ts';
import { blobsThatStay } from './needed.ts';
import type { PruneMonitor } from './options.ts';
import type { PruneState } from './state.ts';

/**
 * Stores what snapshots need of some packs in new packs, unless a pack that stays has it too. The new packs are stored and
 * listed in index files when this returns; their blobs are in the index.
 * @param going all packs that are to go, those to be repacked among them
 * @throws BLOB_DAMAGED for a blob that cannot be read from any pack, PERMISSION_DENIED and the like if the storage refuses it:
 *   then nothing may be removed
 */
export async function repackBlobs(
  state: PruneState,
  packs: { readonly repack: ReadonlySet<number>; readonly going: ReadonlySet<number> },
  context: EngineContext<PruneMonitor>,
): Promise<void> {
  const { indexed, repository } = state;
  const wanted = wantedEntries(state, packs);
  const writer = new IndexWriter(repository, { signal: context.signal, ownsBlobs: true });
  const target = { indexed, writer };
  const request = { source: indexed, wanted, target, again: true };
  const { failed } = await transferBlobs(request, context);
  await writer.flush();
  state.takeOwn(writer.savedIds);
  const errors = failed.map(({ error }) => error);
  if (errors.length > 0) throw unreadError(errors);
}

function isDamage(error: unknown): boolean {
  return isHoldfastError(error, 'BLOB_DAMAGED', 'BLOB_NOT_FOUND');
}

/** Blobs that the storage refuses to give are not damaged. */
function unreadError(errors: readonly unknown[]): HoldfastError {
  const other = errors.find((error) => error instanceof HoldfastError && !isDamage(error));
  const message = `${errors.length} blobs that snapshots need cannot be read`;
  const details = { blobs: errors.length };
  if (other instanceof HoldfastError) {
    const { code, row } = other;
    const hint = `Nothing was removed. ${row.hint ?? ''}`.trim();
    return new HoldfastError(code, {
      message: `${message}: ${row.summary}`,
      details,
      hint,
      cause: other,
    });
  }
  return new HoldfastError('BLOB_DAMAGED', {
    message,
    details,
    hint: 'Nothing was removed. Run "holdfast check --read-data", then "holdfast repair packs".',
    cause: errors[0],
  });
}

/** One entry of each used blob of the packs to be repacked that has no copy in a pack that stays. */
function* wantedEntries(
  state: PruneState,
  packs: { readonly repack: ReadonlySet<number>; readonly going: ReadonlySet<number> },
): Generator<number, void, void> {
  const { index } = state.indexed;
  const isSafe = blobsThatStay(state, packs.going);
  for (let entry = 0; entry < index.blobCount; entry++) {
    if (!packs.repack.has(index.packOf(entry))) continue;
    const first = index.firstOf(entry);
    if (isSafe[first] === 1 || !state.used.has(first, usedMark)) continue;
    isSafe[first] = 1;
    yield entry;
  }
  releaseBuffer(isSafe.buffer);
}
