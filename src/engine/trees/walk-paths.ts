import { throwIfAborted } from '../../base/abort.ts';
import { endsWork, HoldfastError } from '../../base/errors.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { TreeNode, TreeNodes } from '../../repository/tree.ts';
import type { EngineContext } from '../context.ts';
import { joinSnapshotPath } from './snapshot-path.ts';
import { assertWalkable, TreeBudget, type TreeLimits } from './tree-budget.ts';
import { TreeReader } from './tree-reader.ts';

/** An entry met on a walk through a snapshot. */
export interface WalkedNode {
  /** From the root of the walk, beginning with a slash; raw bytes, not to be changed. */
  readonly path: Uint8Array;
  readonly node: TreeNode;
  /** The tree that holds the entry. */
  readonly parentTree: Uint8Array;
}

/** What a walk tells. All calls come one after the other. */
export interface TreeVisitor {
  /** A folder's tree is about to be read; the root has the empty path. @returns false to pass it over */
  enter?(path: Uint8Array, tree: Uint8Array): boolean;
  /** An entry, in the order of the trees, a folder before what is in it. @returns false not to enter this folder */
  node(item: WalkedNode): boolean | void;
  /** The end of every folder that was entered. `isRead`: all of it was visited; else it could not be read. */
  leave?(path: Uint8Array, isRead: boolean): void;
  /** What a walk may cost beyond what is stored. Tests give theirs. */
  readonly limits?: TreeLimits;
  /** Awaited between entries, for visitors that must not run ahead of their output. */
  settle?(): Promise<void> | undefined;
}

/** Of a path in a message. */
const itemSizeBytesMax = 8192;

interface Frame {
  readonly path: Uint8Array;
  readonly tree: Uint8Array;
  readonly nodes: Iterator<TreeNode>;
}

/**
 * Walks a tree with all below it, depth first, without recursion.
 *
 * A folder that cannot be read, or an entry that must not be used, is told to the monitor and left out; the rest goes on.
 * A snapshot that repeats its folders without end is told, too, and there the walk ends.
 * @param root id of the tree to begin with
 * @throws CANCELLED and what ends the use of the storage
 */
export async function walkTree(
  indexed: IndexedRepository,
  root: Uint8Array,
  visitor: TreeVisitor,
  context: EngineContext,
): Promise<void> {
  const reader = new TreeReader(indexed, { signal: context.signal });
  const budget = new TreeBudget(indexed.index, visitor.limits);
  const stack: Frame[] = [];
  let isEndless = false;
  const push = async (path: Uint8Array, tree: Uint8Array): Promise<void> => {
    if (visitor.enter?.(path, tree) === false) return;
    const nodes = await loadNodes(reader, { path, tree }, { depth: stack.length, context });
    isEndless = nodes !== undefined && !budget.admits(tree, nodes.length);
    if (isEndless) tellEndless(path, budget, context);
    if (nodes && !isEndless) stack.push({ path, tree, nodes: nodes[Symbol.iterator]() });
    else visitor.leave?.(path, false);
  };
  await push(new Uint8Array(0), root);
  for (let frame = stack.at(-1); frame; frame = stack.at(-1)) {
    const { value: node, done } = frame.nodes.next();
    if (isEndless || done) {
      stack.pop();
      visitor.leave?.(frame.path, !isEndless);
      continue;
    }
    const path = joinSnapshotPath(frame.path, node.name);
    if (node.invalid !== undefined) {
      const error = new HoldfastError('TREE_DAMAGED', { message: node.invalid });
      context.monitor.problem({ item: textOf(path), during: 'scan', error });
      continue;
    }
    const mayEnter = visitor.node({ path, node, parentTree: frame.tree }) !== false;
    const settled = visitor.settle?.();
    if (settled) await settled;
    if (mayEnter && node.type === 'dir' && node.subtree) await push(path, node.subtree);
  }
}

function tellEndless(path: Uint8Array, budget: TreeBudget, { monitor }: EngineContext): void {
  const error = new HoldfastError('TREE_DAMAGED', {
    message: 'the snapshot repeats its folders without end; the rest is left out',
    hint: 'Name a folder of it, as SNAPSHOT:folder.',
    details: budget.counts,
  });
  monitor.problem({ item: textOf(path) || '/', during: 'scan', error });
}

async function loadNodes(
  reader: TreeReader,
  { path, tree }: { readonly path: Uint8Array; readonly tree: Uint8Array },
  { depth, context }: { readonly depth: number; readonly context: EngineContext },
): Promise<TreeNodes | undefined> {
  throwIfAborted(context.signal);
  try {
    assertWalkable(path, depth);
    return await reader.load(tree);
  } catch (error) {
    if (endsWork(error)) throw error;
    // A path that is too long is not worth its room on a screen.
    const item = textOf(path.subarray(0, itemSizeBytesMax)) || '/';
    context.monitor.problem({ item, during: 'scan', error });
    return undefined;
  }
}

function textOf(path: Uint8Array): string {
  return Buffer.from(path).toString('utf8');
}
