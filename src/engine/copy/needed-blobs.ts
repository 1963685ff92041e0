import type { TreeNodes } from '../../repository/tree.ts';
import { OnceWalk } from '../trees/walk-once.ts';
import { fromHex, toHex } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { BlobType } from '../../repository/blob.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { BlobMarks, contentIds, strayBlobs } from '../trees/blob-marks.ts';
import type { EngineContext } from '../context.ts';

const seenMark = 1;

/** Finds what snapshots of one repository need that another does not have. */
export class NeededBlobs {
  readonly #source: IndexedRepository;
  readonly #target: BlobIndex;
  readonly #walk: OnceWalk;
  #marks: BlobMarks;
  #hasFailed = false;
  #entries: number[] = [];
  #sizeBytes = 0;

  constructor(source: IndexedRepository, target: BlobIndex, context: EngineContext) {
    this.#source = source;
    this.#target = target;
    const visitor = {
      isNew: (tree: Uint8Array) => this.#need('tree', tree),
      nodes: (_: Uint8Array, nodes: TreeNodes) => this.#needNodes(nodes),
      unreadable: (_: Uint8Array, error: unknown): never => {
        throw error;
      },
    };
    this.#walk = new OnceWalk(source, visitor, context);
    this.#marks = new BlobMarks(source.index);
  }

  /** Sealed size of what was found since the last `take`. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Entries of the source's index that were found since the last `take`. */
  get entries(): readonly number[] {
    return this.#entries;
  }

  /** Entries of the source's index that were found since the last call. */
  take(): readonly number[] {
    const entries = this.#entries;
    this.#entries = [];
    this.#sizeBytes = 0;
    return entries;
  }

  /** From now on snapshots are walked whole: what those before held in common with them may be missing. */
  distrust(): void {
    this.#hasFailed = true;
  }

  /**
   * Walks one snapshot through all its trees, save those that were walked for others before. A tree that the target
   * has is entered all the same: what is below may not be there.
   * @throws BLOB_NOT_FOUND, BLOB_DAMAGED, TREE_DAMAGED: it cannot be copied whole; and what ends the work
   */
  async add(snapshot: Pick<StoredSnapshot, 'tree'>): Promise<void> {
    if (this.#hasFailed) this.#marks = new BlobMarks(this.#source.index);
    const before = { count: this.#entries.length, sizeBytes: this.#sizeBytes };
    try {
      await this.#look(snapshot);
    } catch (error) {
      this.distrust();
      this.#entries.length = before.count;
      this.#sizeBytes = before.sizeBytes;
      throw error;
    }
  }

  async #look({ tree }: Pick<StoredSnapshot, 'tree'>): Promise<void> {
    const root = fromHex(tree);
    if (!root) throw new HoldfastError('SNAPSHOT_DAMAGED', { details: { tree } });
    this.#walk.enter(root);
    await this.#walk.run();
  }

  /** Trees are copied as they are, with nodes that are not valid: what they name is needed all the same. */
  #needNodes(nodes: TreeNodes): void {
    for (const node of nodes) {
      if (node.subtree) this.#walk.enter(node.subtree);
      for (const blob of contentIds(node)) this.#need('data', blob);
      for (const { type, id } of strayBlobs(node)) {
        if (this.#source.index.find(type, id) < 0) continue;
        if (type === 'tree') this.#walk.enter(id);
        else this.#need(type, id);
      }
    }
  }

  /** @returns false if the blob was met before */
  #need(type: BlobType, id: Uint8Array): boolean {
    const wasSeen = this.#marks.add(type, id, seenMark);
    if (wasSeen === undefined) {
      throw new HoldfastError('BLOB_NOT_FOUND', { details: { type, blob: toHex(id) } });
    }
    if (wasSeen) return false;
    if (!isStored(this.#target, type, id)) {
      const entry = this.#source.index.find(type, id);
      this.#entries.push(entry);
      this.#sizeBytes += this.#source.index.lengthOf(entry);
    }
    return true;
  }
}

/** True if a blob has a place in a pack that is stored. */
export function isStored(index: BlobIndex, type: BlobType, id: Uint8Array): boolean {
  const entry = index.find(type, id);
  if (entry < 0) return false;
  return !index.isPending(entry) || index.findAll(type, id).some((at) => !index.isPending(at));
}
