import { toHex } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { Problem } from '../../base/monitor.ts';
import type { BlobType } from '../../repository/blob.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { idBytes } from '../../repository/id.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import { contentIds } from '../trees/blob-marks.ts';
import type { EngineContext } from '../context.ts';
import { walkTree, type WalkedNode } from '../trees/walk-paths.ts';
import { isStored } from './needed-blobs.ts';

/**
 * Everything of a snapshot that `index` does not have, and what of it cannot be read: by path, whole. The slow way, for
 * a snapshot of which something is known to be lost.
 * @param where.reasons why blobs could not be read, by their ids in hex
 */
export async function findLostContent(
  { source, snapshot }: { readonly source: IndexedRepository; readonly snapshot: StoredSnapshot },
  where: { readonly index: BlobIndex; readonly reasons: ReadonlyMap<string, unknown> },
  context: EngineContext,
): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  const tell = (path: Uint8Array, type: BlobType, id: Uint8Array): void => {
    if (isStored(where.index, type, id)) return;
    const blob = toHex(id);
    const error =
      where.reasons.get(blob) ?? new HoldfastError('BLOB_NOT_FOUND', { details: { type, blob } });
    problems.push({ item: Buffer.from(path).toString('utf8') || '/', during: 'scan', error });
  };
  const visitor = {
    enter: (path: Uint8Array, tree: Uint8Array): boolean => {
      tell(path, 'tree', tree);
      return true;
    },
    node: ({ path, node }: WalkedNode): void => {
      for (const id of contentIds(node)) tell(path, 'data', id);
    },
  };
  const monitor = { problem: (problem: Problem) => problems.push(problem), note: () => {} };
  const root = idBytes(snapshot.tree);
  await walkTree(source, root, visitor, { ...context, monitor });
  return problems;
}
