import { toHex } from '../../base/bytes.ts';
import type { Id } from '../../repository/id.ts';
import type { EngineContext } from '../context.ts';
import { unneededOf } from './needed.ts';
import type { PruneMonitor } from './options.ts';
import type { PackPlan } from './plan.ts';
import { removePacks, rewriteIndexWithoutRoom } from './remove.ts';
import { repackBlobs } from './repack.ts';
import type { PruneState } from './state.ts';

/**
 * Removes at once, in restic's order: packs in no index; new packs and their index; index files without what goes; packs.
 * At every instant all that snapshots need is stored and listed. The caller holds an exclusive lock.
 *
 * Before the first removal, and again before the index changes, snapshots and index files are listed anew: what one
 * listing lacked is taken in, and what it needs stays.
 * @see docs/FORMAT.md#prune
 */
export async function pruneAtOnce(
  state: PruneState,
  packs: PackPlan,
  context: EngineContext<PruneMonitor>,
): Promise<void> {
  const { monitor } = context;
  const { repository } = state;
  await state.refresh();
  const unlisted = state.unlistedPacks();
  if (unlisted.length > 0) {
    monitor.phase('deleting unreferenced packs');
    const ids = unlisted.map(({ id }) => id);
    await removePacks(repository, ids, context);
    for (const id of ids) state.stored.delete(id);
  }
  const going = new Set([...packs.remove, ...packs.repack, ...packs.missing]);
  if (packs.repack.length > 0) {
    monitor.phase('repacking packs');
    await repackBlobs(state, { repack: new Set(packs.repack), going }, context);
  }
  if (going.size === 0 && state.marks.size === 0) return;
  await state.refresh();
  const unneeded = unneededOf(state, going);
  const removed = idsOf(state, unneeded);
  monitor.phase('rebuilding index');
  const added = state.onlyMarkedExcept(unneeded);
  const known = state.indexNames;
  const change = { removed: new Set(removed), added, known, keepsMark: () => false };
  await rewriteIndexWithoutRoom(repository, { change, unneeded: removed }, context);
  const stored = removed.filter((id) => state.stored.has(id));
  if (stored.length === 0) return;
  monitor.phase(`removing ${stored.length} old packs`);
  await removePacks(repository, stored, context);
}

/** Ids of packs, the largest first. */
export function idsOf({ indexed, stored }: PruneState, packs: Iterable<number>): Id[] {
  const ids = [...packs].map((pack) => toHex(indexed.index.packId(pack)));
  return ids.sort((a, b) => (stored.get(b) ?? 0) - (stored.get(a) ?? 0));
}
