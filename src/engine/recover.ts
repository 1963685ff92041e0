import { publishSnapshot } from './publish-snapshot.ts';
import { toHex } from '../base/bytes.ts';
import type { Timestamp } from '../base/timestamp.ts';
import type { Id } from '../repository/id.ts';
import { IndexedRepository } from '../repository/indexed.ts';
import type { HeldLock } from '../repository/locks.ts';
import type { Snapshot, StoredSnapshot } from '../repository/snapshots.ts';
import { localTime, localZone } from '../repository/time-format.ts';
import { bareNode, goMode, TreeEncoder } from '../repository/tree.ts';
import { BlobWriter } from './packs/blob-writer.ts';
import type { EngineContext } from './context.ts';
import { findLostTrees } from './recover/lost-trees.ts';
import { WholeTrees } from './recover/whole-trees.ts';
import type { PhaseMonitor } from '../base/monitor.ts';

/** What is searched for lost trees, and who makes the snapshot of them. */
export interface RecoverRequest {
  /** All that can be read, listed before the index was loaded. */
  readonly snapshots: readonly StoredSnapshot[];
  /** Take also trees below which something is missing. */
  readonly takesIncomplete: boolean;
  /** Who makes the snapshot. */
  readonly owner: Pick<Snapshot, 'hostname' | 'username' | 'uid' | 'gid' | 'programVersion'>;
  readonly lock: HeldLock | undefined;
}

/** What a recovery found, and the snapshot it made of it. */
export interface RecoverResult {
  /** Trees that nothing refers to. */
  readonly lostCount: number;
  /** Those of them below which something is missing. */
  readonly incomplete: readonly Id[];
  /** Absent if there was nothing to recover. */
  readonly snapshotId?: Id;
}

const recoveredPath = '/recover';
const recoveredTag = 'recovered';
const shortNameLength = 8;

/**
 * Makes a snapshot of all trees that nothing refers to any more: each is a directory in it, named by the beginning of its
 * id. Have the index repaired before, so that packs count that no index file lists. Hold an exclusive lock.
 *
 * A tree below which something is missing is left out unless it is asked for: a snapshot of it could not be restored
 * whole, and prune would stop at it.
 * @throws what the storage throws, CANCELLED, LOCK_LOST, REFERENCE_LOST
 */
export async function recover(
  indexed: IndexedRepository,
  request: RecoverRequest,
  context: EngineContext<PhaseMonitor>,
): Promise<RecoverResult> {
  const { monitor, signal, environment } = context;
  monitor.phase('load trees');
  const lost = await findLostTrees(indexed, request.snapshots, context);
  monitor.phase('look for what is missing below them');
  const wholeTrees = new WholeTrees(indexed, { signal });
  const taken: Uint8Array[] = [];
  const incomplete: Id[] = [];
  for (const tree of lost) {
    const isWhole = await wholeTrees.isWhole(tree);
    if (!isWhole) incomplete.push(toHex(tree));
    if (isWhole || request.takesIncomplete) taken.push(tree);
  }
  const found = { lostCount: lost.length, incomplete };
  if (taken.length === 0) return found;
  const time = localTime(environment.clock.wallNs());
  const writer = new BlobWriter(indexed, context);
  const tree = toHex(await writer.add('tree', encodeRoot(taken, time)));
  await writer.finish();
  const snapshot: Snapshot = {
    ...request.owner,
    time,
    tree,
    paths: [recoveredPath],
    tags: [recoveredTag],
  };
  // The lost trees are what a prune has marked, more often than not.
  const data = { indexed, own: writer.stored, marked: 'unsafe' } as const;
  const publication = { snapshot, lock: request.lock, data };
  return { ...found, snapshotId: await publishSnapshot(indexed.repository, publication, context) };
}

/** A tree with a directory for each of these. */
function encodeRoot(trees: readonly Uint8Array[], time: Timestamp): Uint8Array {
  const ids = trees.map(toHex);
  const short = new Set(ids.map((id) => id.slice(0, shortNameLength)));
  // Two ids that begin alike are told apart by their whole length.
  const nameLength = short.size === ids.length ? shortNameLength : undefined;
  const encoder = new TreeEncoder(localZone);
  for (const [number, subtree] of trees.entries()) {
    encoder.add({
      ...bareNode,
      name: Buffer.from(ids[number]?.slice(0, nameLength) ?? ''),
      type: 'dir',
      mode: goMode('dir', 0o755),
      mtime: time,
      atime: time,
      ctime: time,
      subtree,
    });
  }
  return encoder.finish();
}
