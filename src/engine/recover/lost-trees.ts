import type { TreeNode } from '../../repository/tree.ts';
import { readTree } from '../trees/read-tree.ts';
import { throwIfAborted } from '../../base/abort.ts';
import { fromHex, toHex } from '../../base/bytes.ts';
import type { PhaseMonitor } from '../../base/monitor.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import { BlobMarks } from '../trees/blob-marks.ts';
import type { EngineContext } from '../context.ts';
import { TreeReader } from '../trees/tree-reader.ts';

/** A tree that something refers to. */
const referredMark = 1;
/** A tree that cannot be read from any pack. */
const unreadableMark = 2;

/**
 * Finds the trees that no other tree and no snapshot refers to: roots of what was forgotten, or of backups that did not end.
 * Reads every tree of the repository once. One that cannot be read is a problem for the monitor, and is left out.
 * @returns their ids, in order
 */
export async function findLostTrees(
  indexed: IndexedRepository,
  snapshots: readonly StoredSnapshot[],
  context: EngineContext<PhaseMonitor>,
): Promise<Uint8Array[]> {
  const { index } = indexed;
  const { monitor, signal } = context;
  const reader = new TreeReader(indexed, { signal });
  const marks = new BlobMarks(index);
  for (const { tree } of snapshots) {
    const root = fromHex(tree);
    if (root) marks.add('tree', root, referredMark);
  }
  const trees = treesOf(index);
  let errorCount = 0;
  for (const [number, entry] of trees.entries()) {
    throwIfAborted(signal);
    const id = index.idOf(entry);
    const tree = await readTree(reader, id);
    for (const subtree of subtreesOf(tree.nodes ?? [])) marks.add('tree', subtree, referredMark);
    if (!tree.nodes) {
      errorCount++;
      marks.add('tree', id, unreadableMark);
      monitor.problem({ item: `tree ${toHex(id)}`, during: 'scan', error: tree.error });
    }
    const totals = { filesTotal: trees.length, bytesDone: 0, currentItems: [] };
    monitor.progress({ ...totals, filesDone: number + 1, errorCount });
  }
  const known = new Set(Array.from(marks.marked(), ({ entry }) => entry));
  const lost = trees.filter((entry) => !known.has(entry)).map((entry) => index.idOf(entry));
  return lost.toSorted((a, b) => Buffer.compare(a, b));
}

/** First entries of all trees, in the order of the packs. */
function treesOf(index: BlobIndex): number[] {
  const trees: number[] = [];
  for (let entry = 0; entry < index.blobCount; entry++) {
    if (index.isPending(entry) || index.typeOf(entry) !== 'tree') continue;
    if (index.find('tree', index.idOf(entry)) === entry) trees.push(entry);
  }
  return trees;
}

/** The trees of the directories of a tree. */
export function* subtreesOf(nodes: Iterable<TreeNode>): Generator<Uint8Array> {
  for (const { type, subtree } of nodes) if (type === 'dir' && subtree) yield subtree;
}
