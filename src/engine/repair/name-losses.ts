import type { Id } from '../../repository/id.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import { type AffectedFile, AffectedFiles } from '../trees/affected-files.ts';
import { BlobDamage } from '../trees/blob-damage.ts';
import type { EngineContext } from '../context.ts';

/** Paths that are named at most. */
const filesMax = 100_000;

/** What of snapshots cannot be restored whole. */
export interface Losses {
  readonly affectedFiles: readonly AffectedFile[];
  readonly affectedSnapshots: readonly Id[];
}

/** Names the files of snapshots that need blobs which no index lists, or trees that cannot be read. */
export async function nameLosses(
  indexed: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  context: EngineContext,
): Promise<Losses> {
  const finder = new AffectedFiles(indexed, new BlobDamage(indexed.index), context);
  const affectedFiles: AffectedFile[] = [];
  const affectedSnapshots: Id[] = [];
  for (const snapshot of snapshots) {
    if (!(await finder.reaches(snapshot))) continue;
    affectedSnapshots.push(snapshot.id);
    affectedFiles.push(...(await finder.of(snapshot, filesMax - affectedFiles.length)));
  }
  return { affectedFiles, affectedSnapshots };
}
