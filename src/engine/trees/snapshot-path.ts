import { equalBytes } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { idBytes } from '../../repository/id.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { ResolvedSnapshot } from '../../repository/snapshots.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { CallOptions } from '../../storage/backend.ts';

const slash = 0x2f;

/** The components of a path in a snapshot; empty ones and `.` are dropped. */
export function splitSnapshotPath(path: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let start = 0; start <= path.byteLength; ) {
    const found = path.indexOf(slash, start);
    const end = found < 0 ? path.byteLength : found;
    const part = path.subarray(start, end);
    if (part.byteLength > 0 && !(part.byteLength === 1 && part[0] === 0x2e)) parts.push(part);
    start = end + 1;
  }
  return parts;
}

/** The path of `name` in the folder `parent`; the root of a snapshot is the empty path. */
export function joinSnapshotPath(parent: Uint8Array, name: Uint8Array): Uint8Array<ArrayBuffer> {
  const path = new Uint8Array(parent.byteLength + 1 + name.byteLength);
  path.set(parent);
  path[parent.byteLength] = slash;
  path.set(name, parent.byteLength + 1);
  return path;
}

/** Text of a path for messages; bytes that are not UTF-8 become U+FFFD. */
export function pathText(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('utf8');
}

/** A snapshot, and the folder in it that is meant. */
export type TreeChoice = Pick<ResolvedSnapshot, 'snapshot'> & {
  readonly subfolder?: string | undefined;
};

/**
 * The tree of the folder that is meant.
 * @returns its 32-byte id
 * @throws PATH_NOT_FOUND, BLOB_NOT_FOUND, BLOB_DAMAGED, TREE_DAMAGED
 */
export async function findTree(
  indexed: IndexedRepository,
  { snapshot, subfolder }: TreeChoice,
  options: CallOptions = {},
): Promise<Uint8Array> {
  let tree: Uint8Array = idBytes(snapshot.tree);
  if (subfolder === undefined) return tree;
  const parts = splitSnapshotPath(Buffer.from(subfolder, 'utf8'));
  for (const [i, part] of parts.entries()) {
    const node = await findChild(indexed, tree, part, options);
    if (node?.type !== 'dir' || !node.subtree) throw notFound(parts.slice(0, i + 1), node);
    tree = node.subtree;
  }
  return tree;
}

/** The entry `name` of a tree, or undefined. */
export async function findChild(
  indexed: IndexedRepository,
  tree: Uint8Array,
  name: Uint8Array,
  options: CallOptions = {},
): Promise<TreeNode | undefined> {
  for (const node of await indexed.loadTree(tree, options)) {
    if (equalBytes(node.name, name)) return node;
  }
  return undefined;
}

function notFound(parts: readonly Uint8Array[], node: TreeNode | undefined): HoldfastError {
  const path = parts.map((part) => Buffer.from(part).toString('utf8')).join('/');
  const message = node
    ? `the path ${JSON.stringify(path)} is a ${node.type}, not a folder`
    : `the path ${JSON.stringify(path)} is not in the snapshot`;
  return new HoldfastError('PATH_NOT_FOUND', { message });
}
