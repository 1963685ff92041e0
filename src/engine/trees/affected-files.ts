import { joinSnapshotPath, pathText } from './snapshot-path.ts';
import { type Id, idSizeBytes } from '../../repository/id.ts';
import { type FolderBelow, foldTrees, type OpenTree, type TreeFolder } from './fold-trees.ts';
import { readTree } from './read-tree.ts';
import { throwIfAborted } from '../../base/abort.ts';
import { fromHex, toHex } from '../../base/bytes.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { TreeNode, TreeNodes } from '../../repository/tree.ts';
import type { EngineContext } from '../context.ts';
import { treePathSizeBytesMax } from './tree-budget.ts';
import { TreeReader } from './tree-reader.ts';
import type { BlobDamage } from './blob-damage.ts';

/** A path that cannot be restored as it was. */
export interface AffectedFile {
  readonly snapshot: Id;
  readonly path: string;
}

/** A tree while those below it are looked at. */
interface JudgedTree extends OpenTree<FolderBelow> {
  readonly id: Uint8Array;
  readonly isAffected: boolean;
}

interface Step {
  readonly id: Uint8Array;
  /** Empty for the root. */
  readonly path: Uint8Array;
}

/**
 * Names the files and directories of snapshots that damage reaches.
 *
 * First each tree is judged once, however many snapshots and directories share it; then only trees with
 * damage in or below them are entered, path by path. So the work is bounded by what is stored and what is named.
 */
export class AffectedFiles implements TreeFolder<FolderBelow, JudgedTree> {
  readonly #damage: BlobDamage;
  readonly #context: EngineContext;
  readonly #reader: TreeReader;
  /** By hex id: whether damage is in or below a tree. A tree being judged counts as sound. */
  readonly #verdicts = new Map<string, boolean>();

  constructor(indexed: IndexedRepository, damage: BlobDamage, context: EngineContext) {
    this.#damage = damage;
    this.#context = context;
    this.#reader = new TreeReader(indexed, { signal: context.signal });
  }

  /** Whether damage reaches a snapshot. */
  async reaches(snapshot: StoredSnapshot): Promise<boolean> {
    const root = fromHex(snapshot.tree);
    if (!root) return false;
    await foldTrees(root, this, this.#context.signal);
    return this.#verdicts.get(snapshot.tree) === true;
  }

  /**
   * The affected paths of a snapshot that damage reaches.
   * @param countMax no more than so many
   */
  async of(snapshot: StoredSnapshot, countMax: number): Promise<AffectedFile[]> {
    const root = fromHex(snapshot.tree);
    const found: AffectedFile[] = [];
    const pending: Step[] = root ? [{ id: root, path: new Uint8Array(0) }] : [];
    for (let step = pending.pop(); step && found.length < countMax; step = pending.pop()) {
      throwIfAborted(this.#context.signal);
      const { id, path } = step;
      const nodes = await this.#nodes(id);
      if (!nodes || this.#damage.isFaultyTree(id)) found.push(affected(snapshot, path));
      for (const node of nodes ?? []) {
        const below = joinSnapshotPath(path, node.name);
        const isBelow = node.subtree && this.#verdicts.get(toHex(node.subtree)) === true;
        // A hostile repository can nest a million folders, whose paths are all together as long as the square of that.
        if (isBelow && below.byteLength > treePathSizeBytesMax)
          found.push(affected(snapshot, below));
        else if (isBelow && node.subtree) {
          pending.push({ id: node.subtree, path: below });
        } else if (this.#losesContent(node)) {
          found.push(affected(snapshot, below));
        }
        if (found.length >= countMax) break;
      }
    }
    return found;
  }

  isKnown(tree: Uint8Array): boolean {
    return this.#verdicts.has(toHex(tree));
  }

  async open(id: Uint8Array): Promise<JudgedTree> {
    this.#verdicts.set(toHex(id), false);
    const nodes = await this.#nodes(id);
    let isAffected = !nodes || this.#damage.isFaultyTree(id);
    const below: FolderBelow[] = [];
    for (const node of nodes ?? []) {
      isAffected ||= this.#losesContent(node);
      if (node.subtree) below.push({ subtree: node.subtree });
    }
    return { id, below, isAffected };
  }

  close({ id, below, isAffected }: JudgedTree): void {
    const isAffectedBelow = below.some(
      ({ subtree }) => subtree && this.#verdicts.get(toHex(subtree)) === true,
    );
    this.#verdicts.set(toHex(id), isAffected || isAffectedBelow);
  }

  /** The nodes of a tree; undefined if it cannot be read. */
  async #nodes(id: Uint8Array): Promise<TreeNodes | undefined> {
    if (this.#damage.isLost('tree', id)) return undefined;
    return (await readTree(this.#reader, id)).nodes;
  }

  #losesContent({ content }: TreeNode): boolean {
    if (!content) return false;
    for (let offset = 0; offset < content.byteLength; offset += idSizeBytes) {
      if (this.#damage.isLost('data', content, offset)) return true;
    }
    return false;
  }
}

function affected(snapshot: StoredSnapshot, path: Uint8Array): AffectedFile {
  return { snapshot: snapshot.id, path: pathText(path) || '/' };
}
