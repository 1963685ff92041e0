import { toHex } from '../../base/bytes.ts';
import { isHoldfastError } from '../../base/errors.ts';
import type { Id } from '../../repository/id.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { EngineContext } from '../context.ts';
import { collectUsedBlobs } from '../trees/used-blobs.ts';

/** What a snapshot leans on. */
export interface NeededPacks {
  readonly snapshot: StoredSnapshot;
  readonly packs: ReadonlySet<Id>;
}

/**
 * Finds the packs that each snapshot needs: of every tree and file of it, the first copy. Snapshots with the same tree are
 * walked once. One that cannot be read whole is told as a problem, and left out.
 */
export async function collectNeededPacks(
  indexed: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  context: EngineContext,
): Promise<NeededPacks[]> {
  const byTree = new Map<string, ReadonlySet<Id>>();
  const found: NeededPacks[] = [];
  for (const snapshot of snapshots) {
    try {
      const packs = byTree.get(snapshot.tree) ?? (await packsOf(indexed, snapshot, context));
      byTree.set(snapshot.tree, packs);
      found.push({ snapshot, packs });
    } catch (error) {
      if (!isHoldfastError(error, 'TREE_DAMAGED', 'BLOB_DAMAGED', 'BLOB_NOT_FOUND')) throw error;
      context.monitor.problem({ item: `snapshot ${snapshot.id}`, during: 'check', error });
    }
  }
  return found;
}

async function packsOf(
  indexed: IndexedRepository,
  snapshot: StoredSnapshot,
  context: EngineContext,
): Promise<ReadonlySet<Id>> {
  const { index } = indexed;
  const marks = await collectUsedBlobs(indexed, [snapshot], context);
  const numbers = new Set<number>();
  for (const { entry } of marks.marked()) numbers.add(index.packOf(entry));
  return new Set(Array.from(numbers, (pack) => toHex(index.packId(pack))));
}
