import { toHex } from '../../base/bytes.ts';
import { endsWork, HoldfastError } from '../../base/errors.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { decodeTree, type TreeBytes, type TreeNode } from '../../repository/tree.ts';
import type { EngineContext } from '../context.ts';
import { TreeReader } from '../trees/tree-reader.ts';

/** Reads the trees of the parent snapshot, which a backup can do without. */
export class ParentTrees {
  readonly #reader: TreeReader;
  readonly #context: EngineContext;
  #isDamaged = false;

  constructor(indexed: IndexedRepository, context: EngineContext) {
    this.#reader = new TreeReader(indexed, { signal: context.signal });
    this.#context = context;
  }

  /** True once a tree could not be read: what is stored with it is not to be relied on either. */
  get isDamaged(): boolean {
    return this.#isDamaged;
  }

  /** An encoded tree; undefined, with a problem told, if it cannot be read: all below counts as new then. */
  async load(id: Uint8Array): Promise<TreeBytes | undefined> {
    try {
      return await this.#reader.open(id);
    } catch (error) {
      return this.#unreadable(id, error);
    }
  }

  /** The nodes of an encoded tree; undefined, with a problem told, if it is damaged. */
  decode(id: Uint8Array, bytes: Uint8Array): readonly TreeNode[] | undefined {
    return this.read(id, () => decodeTree(bytes));
  }

  /** What `read` makes of a tree; undefined, with a problem told, if it is damaged. */
  read<T>(id: Uint8Array, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      return this.#unreadable(id, error);
    }
  }

  #unreadable(id: Uint8Array, error: unknown): undefined {
    if (endsWork(error)) throw error;
    this.#isDamaged = true;
    const message = 'a tree of the parent snapshot cannot be read: what is below counts as new';
    const problem = new HoldfastError('TREE_DAMAGED', { message, cause: error });
    const item = `tree ${toHex(id)}`;
    this.#context.monitor.problem({ item, during: 'scan', error: problem });
  }
}
