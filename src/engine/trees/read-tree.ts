import { endsWork, isHoldfastError } from '../../base/errors.ts';
import type { TreeNodes } from '../../repository/tree.ts';
import type { TreeReader } from './tree-reader.ts';

/** The nodes of a tree, or why they cannot be had. */
export type ReadTree =
  | { readonly nodes: TreeNodes }
  | { readonly nodes: undefined; readonly error: unknown };

/** Reads a tree. @throws only what ends the work */
export async function readTree(reader: TreeReader, id: Uint8Array): Promise<ReadTree> {
  try {
    return { nodes: await reader.load(id) };
  } catch (error) {
    if (endsWork(error)) throw error;
    return { nodes: undefined, error };
  }
}

/** True if a tree is missing or damaged; else the storage failed to read it, which says nothing of the tree. */
export function isDamage(error: unknown): boolean {
  return isHoldfastError(error, 'BLOB_NOT_FOUND', 'BLOB_DAMAGED', 'TREE_DAMAGED');
}
