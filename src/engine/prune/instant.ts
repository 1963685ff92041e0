import { toHex } from '../../base/bytes.ts';
import type { Id } from '../../repository/id.ts';
import type { Repository } from '../../repository/repository.ts';
import type { EngineContext } from '../context.ts';
import { findLocked, joinKept, type KeptPacks, noKeptPacks } from './locked-packs.ts';
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
 * @returns packs that had to stay, since the storage keeps them locked
 * @see docs/FORMAT.md#prune
 */
export async function pruneAtOnce(
  state: PruneState,
  packs: PackPlan,
  context: EngineContext<PruneMonitor>,
): Promise<KeptPacks> {
  const { monitor } = context;
  const { repository } = state;
  await state.refresh();
  const unlisted = state.unlistedPacks();
  let kept = noKeptPacks;
  if (unlisted.length > 0) {
    monitor.phase('deleting unreferenced packs');
    const ids = unlisted.map(({ id }) => id);
    kept = await removeUnlocked(repository, ids, context);
    for (const id of ids) state.stored.delete(id);
  }
  const going = new Set([...packs.remove, ...packs.repack, ...packs.missing]);
  if (packs.repack.length > 0) {
    monitor.phase('repacking packs');
    await repackBlobs(state, { repack: new Set(packs.repack), going }, context);
  }
  if (going.size === 0 && state.marks.size === 0) return kept;
  await state.refresh();
  const unneeded = unneededOf(state, going);
  const removed = idsOf(state, unneeded);
  monitor.phase('rebuilding index');
  const added = state.onlyMarkedExcept(unneeded);
  const known = state.indexNames;
  const change = { removed: new Set(removed), added, known, keepsMark: () => false };
  await rewriteIndexWithoutRoom(repository, { change, unneeded: removed }, context);
  const stored = removed.filter((id) => state.stored.has(id));
  if (stored.length === 0) return kept;
  monitor.phase(`removing ${stored.length} old packs`);
  return joinKept(kept, await removeUnlocked(repository, stored, context));
}

/** Removes what is not locked. The rest stays without being listed, and the next prune tries again. */
async function removeUnlocked(
  repository: Repository,
  packs: readonly Id[],
  context: EngineContext<PruneMonitor>,
): Promise<KeptPacks> {
  const kept = repository.backend.retention
    ? await findLocked(repository, packs, context)
    : noKeptPacks;
  const locked = new Set(kept.ids);
  const free = packs.filter((id) => !locked.has(id));
  await removePacks(repository, free, context);
  return kept;
}

/** Ids of packs, the largest first. */
export function idsOf({ indexed, stored }: PruneState, packs: Iterable<number>): Id[] {
  const ids = [...packs].map((pack) => toHex(indexed.index.packId(pack)));
  return ids.sort((a, b) => (stored.get(b) ?? 0) - (stored.get(a) ?? 0));
}
