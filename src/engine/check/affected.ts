import { throwIfAborted } from '../../base/abort.ts';
import { concatBytes, fromHex, toHex, utf8 } from '../../base/bytes.ts';
import { endsWork } from '../../base/errors.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { TreeNode, TreeNodes } from '../../repository/tree.ts';
import { pathText } from '../backup/report.ts';
import type { EngineContext } from '../context.ts';
import { treePathSizeBytesMax } from '../tree-budget.ts';
import { TreeReader } from '../tree-reader.ts';
import type { BlobDamage } from './blob-damage.ts';
import type { AffectedFile } from './options.ts';

const idSizeBytes = 32;
const slash = utf8('/');
/** A tree on the way down, while those below it are looked at. */
interface Frame {
  readonly id: Uint8Array;
  readonly subtrees: readonly Uint8Array[];
  next: number;
  isAffected: boolean;
}

interface Step {
  readonly id: Uint8Array;
  readonly path: Uint8Array;
}

/**
 * Names the files and directories of snapshots that damage reaches.
 *
 * First each tree is judged once, however many snapshots and directories share it; then only trees with
 * damage in or below them are entered, path by path. So the work is bounded by what is stored and what is named.
 */
export class AffectedFiles {
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
    const frames: Frame[] = [];
    await this.#begin(root, frames);
    for (let frame = frames.at(-1); frame; frame = frames.at(-1)) {
      const subtree = frame.subtrees[frame.next++];
      if (subtree) {
        const verdict = this.#verdicts.get(toHex(subtree));
        if (verdict === undefined) await this.#begin(subtree, frames);
        else frame.isAffected ||= verdict;
        continue;
      }
      frames.pop();
      this.#verdicts.set(toHex(frame.id), frame.isAffected);
      const above = frames.at(-1);
      if (above) above.isAffected ||= frame.isAffected;
    }
    return this.#verdicts.get(snapshot.tree) === true;
  }

  /**
   * The affected paths of a snapshot that damage reaches.
   * @param countMax no more than so many
   */
  async of(snapshot: StoredSnapshot, countMax: number): Promise<AffectedFile[]> {
    const root = fromHex(snapshot.tree);
    const found: AffectedFile[] = [];
    const pending: Step[] = root ? [{ id: root, path: slash }] : [];
    for (let step = pending.pop(); step && found.length < countMax; step = pending.pop()) {
      throwIfAborted(this.#context.signal);
      const { id, path } = step;
      const nodes = await this.#nodes(id);
      if (!nodes || this.#damage.isFaultyTree(id)) found.push(affected(snapshot, path));
      for (const node of nodes ?? []) {
        const below = pathOf(path, node.name);
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

  /** Begins to judge a tree, unless it is known. */
  async #begin(id: Uint8Array, frames: Frame[]): Promise<void> {
    throwIfAborted(this.#context.signal);
    const key = toHex(id);
    if (this.#verdicts.has(key)) return;
    this.#verdicts.set(key, false);
    const nodes = await this.#nodes(id);
    let isAffected = !nodes || this.#damage.isFaultyTree(id);
    const subtrees: Uint8Array[] = [];
    for (const node of nodes ?? []) {
      isAffected ||= this.#losesContent(node);
      if (node.subtree) subtrees.push(node.subtree);
    }
    frames.push({ id, subtrees, next: 0, isAffected });
  }

  /** The nodes of a tree; undefined if it cannot be read. */
  async #nodes(id: Uint8Array): Promise<TreeNodes | undefined> {
    if (this.#damage.isLost('tree', id)) return undefined;
    try {
      return await this.#reader.load(id);
    } catch (error) {
      if (endsWork(error)) throw error;
      return undefined;
    }
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
  return { snapshot: snapshot.id, path: pathText(path) };
}

function pathOf(parent: Uint8Array, name: Uint8Array): Uint8Array {
  return concatBytes(parent.byteLength === 1 ? [slash, name] : [parent, slash, name]);
}
