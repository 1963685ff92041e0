import { throwIfAborted } from '../../base/abort.ts';
import { concatBytes, fromHex, toHex, utf8 } from '../../base/bytes.ts';
import { isHoldfastError } from '../../base/errors.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { EngineContext } from '../context.ts';
import { pathText } from '../backup/report.ts';
import { TreeReader } from '../tree-reader.ts';
import { blobKey } from './findings.ts';
import type { AffectedFile } from './options.ts';

const idSizeBytes = 32;
const slash = utf8('/');

/** What is lost. */
export interface Damage {
  /** Blobs of which no copy can be read, as `type:hex id`. */
  readonly lostBlobs: ReadonlySet<string>;
  /** Hex ids of trees with faulty nodes. */
  readonly damagedTrees: ReadonlySet<string>;
}

interface Step {
  readonly id: Uint8Array;
  readonly path: Uint8Array;
}

/**
 * Names every file and directory of every snapshot that lost blobs belong to.
 *
 * Trees without any damage below them are entered once only, however many snapshots share them.
 */
export class AffectedFiles {
  readonly #damage: Damage;
  readonly #context: EngineContext;
  readonly #reader: TreeReader;
  /** Trees that were walked whole without finding damage. */
  readonly #sound = new Set<string>();

  constructor(indexed: IndexedRepository, damage: Damage, context: EngineContext) {
    this.#damage = damage;
    this.#context = context;
    this.#reader = new TreeReader(indexed, { signal: context.signal });
  }

  /** The affected paths of one snapshot. */
  async of(snapshot: StoredSnapshot): Promise<AffectedFile[]> {
    const root = fromHex(snapshot.tree);
    const found: AffectedFile[] = [];
    const report = (path: Uint8Array): void => {
      found.push({ snapshot: snapshot.id, path: pathText(path) });
    };
    if (root) await this.#walk(root, report);
    return found;
  }

  async #walk(root: Uint8Array, report: (path: Uint8Array) => void): Promise<void> {
    const pending: Step[] = [{ id: root, path: slash }];
    const entered: string[] = [];
    let isSound = true;
    const affected = (path: Uint8Array): void => {
      isSound = false;
      report(path);
    };
    for (let step = pending.pop(); step; step = pending.pop()) {
      throwIfAborted(this.#context.signal);
      const key = toHex(step.id);
      if (this.#sound.has(key)) continue;
      entered.push(key);
      if (this.#damage.damagedTrees.has(key)) affected(step.path);
      const nodes = await this.#load(step, affected);
      for (const node of nodes) {
        const path = pathOf(step, node);
        if (node.subtree) pending.push({ id: node.subtree, path });
        else if (this.#isLost(node)) affected(path);
      }
    }
    // Only a walk without any finding proves its trees sound.
    if (isSound) for (const key of entered) this.#sound.add(key);
  }

  async #load(step: Step, affected: (path: Uint8Array) => void): Promise<readonly TreeNode[]> {
    try {
      if (!this.#damage.lostBlobs.has(blobKey('tree', toHex(step.id)))) {
        return await this.#reader.load(step.id);
      }
    } catch (error) {
      if (!isHoldfastError(error) || isHoldfastError(error, 'CANCELLED')) throw error;
    }
    affected(step.path);
    return [];
  }

  #isLost({ content }: TreeNode): boolean {
    if (!content) return false;
    for (let offset = 0; offset < content.byteLength; offset += idSizeBytes) {
      const id = toHex(content.subarray(offset, offset + idSizeBytes));
      if (this.#damage.lostBlobs.has(blobKey('data', id))) return true;
    }
    return false;
  }
}

function pathOf(step: Step, node: TreeNode): Uint8Array {
  const parent = step.path.byteLength === 1 ? slash : concatBytes([step.path, slash]);
  return concatBytes([parent, node.name]);
}
