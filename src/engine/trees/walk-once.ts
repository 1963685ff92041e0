import { throwIfAborted } from '../../base/abort.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { TreeNodes } from '../../repository/tree.ts';
import type { EngineContext } from '../context.ts';
import { TreeReader } from './tree-reader.ts';
import { readTree } from './read-tree.ts';

/** How long this thread works before others have their turn. */
const turnMs = 15;

/** What a walk tells. All calls come one after the other, in no order of paths. */
export interface OnceVisitor {
  /** Whether a tree is met for the first time. A tree that is not is passed over. */
  isNew(tree: Uint8Array): boolean;
  /** The nodes of a tree. The trees below it that are to be read must be given to `enter`. */
  nodes(tree: Uint8Array, nodes: TreeNodes): void;
  /** A tree cannot be read. What it throws ends the walk. */
  unreadable(tree: Uint8Array, error: unknown): void;
  /** How many trees were read so far: now and then, and at the end. */
  treesRead?(count: number): void;
}

/**
 * Reads every tree that can be reached, each once, and the trees of one pack together: packs of trees are read few times
 * however trees refer to each other. What waits to be read takes a number a tree.
 */
export class OnceWalk {
  readonly #indexed: IndexedRepository;
  readonly #visitor: OnceVisitor;
  readonly #context: EngineContext;
  readonly #reader: TreeReader;
  /** Trees to read, by the number of their pack: first entries. */
  readonly #pending = new Map<number, number[]>();
  /** Trees that no index file lists. */
  #missing: Uint8Array[] = [];
  #treeCount = 0;

  constructor(indexed: IndexedRepository, visitor: OnceVisitor, context: EngineContext) {
    this.#indexed = indexed;
    this.#visitor = visitor;
    this.#context = context;
    this.#reader = new TreeReader(indexed, { signal: context.signal });
  }

  /** Has a tree read by `run`, if it is new. */
  enter(tree: Uint8Array): void {
    const { index } = this.#indexed;
    if (!this.#visitor.isNew(tree)) return;
    const entry = index.find('tree', tree);
    if (entry < 0) {
      this.#missing.push(Uint8Array.from(tree));
      return;
    }
    const pack = index.packOf(entry);
    const trees = this.#pending.get(pack);
    if (trees) trees.push(entry);
    else this.#pending.set(pack, [entry]);
  }

  /**
   * Reads all that was entered, and what is entered meanwhile. May be called again for more.
   * @throws what ends the work, and what the visitor throws: what was left to read is forgotten then
   */
  async run(): Promise<void> {
    try {
      await this.#runAll();
    } finally {
      this.#pending.clear();
      this.#missing = [];
      this.#reader.release();
    }
    this.#visitor.treesRead?.(this.#treeCount);
  }

  async #runAll(): Promise<void> {
    const { clock } = this.#context.environment;
    let turnStart = clock.monotonicMs();
    await this.#readMissing();
    for (const [pack, trees] of this.#pending) {
      // Those found meanwhile in the same pack are read now, too; the pack comes again for any that follow.
      for (let tree = trees.pop(); tree !== undefined; tree = trees.pop()) {
        await this.#read(this.#indexed.index.idOf(tree));
        await this.#readMissing();
        if (clock.monotonicMs() - turnStart < turnMs) continue;
        this.#visitor.treesRead?.(this.#treeCount);
        await clock.nextTurn();
        turnStart = clock.monotonicMs();
      }
      this.#pending.delete(pack);
    }
  }

  /** Asks for what is in no index file as well: that gives the error for it. */
  async #readMissing(): Promise<void> {
    for (let tree = this.#missing.pop(); tree; tree = this.#missing.pop()) await this.#read(tree);
  }

  async #read(id: Uint8Array): Promise<void> {
    throwIfAborted(this.#context.signal);
    const tree = await readTree(this.#reader, id);
    this.#treeCount++;
    if (tree.nodes) this.#visitor.nodes(id, tree.nodes);
    else this.#visitor.unreadable(id, tree.error);
  }
}
