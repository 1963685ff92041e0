import { throwIfAborted } from '../../base/abort.ts';
import { fromHex, toHex } from '../../base/bytes.ts';
import { describeError, isHoldfastError } from '../../base/errors.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { EngineContext } from '../context.ts';
import { pathText } from '../backup/report.ts';
import { TreeReader } from '../tree-reader.ts';
import { blobKey, type Findings } from './findings.ts';
import type { CheckMonitor } from './options.ts';

const idSizeBytes = 32;
const validTypes: ReadonlySet<string> = new Set([
  'file',
  'dir',
  'symlink',
  'dev',
  'chardev',
  'fifo',
  'socket',
]);

/** Follows every snapshot through its trees to the blobs of its files, each tree once. */
export class StructureCheck {
  readonly #indexed: IndexedRepository;
  readonly #findings: Findings;
  readonly #context: EngineContext<CheckMonitor>;
  readonly #reader: TreeReader;
  readonly #seen = new Set<string>();
  /** Trees with an error of their own: what is below or in them is affected. */
  readonly damagedTrees: Set<string> = new Set<string>();

  constructor(
    indexed: IndexedRepository,
    findings: Findings,
    context: EngineContext<CheckMonitor>,
  ) {
    this.#indexed = indexed;
    this.#findings = findings;
    this.#context = context;
    this.#reader = new TreeReader(indexed, { signal: context.signal });
  }

  async run(snapshots: readonly StoredSnapshot[]): Promise<void> {
    let done = 0;
    for (const snapshot of snapshots) {
      const root = fromHex(snapshot.tree);
      if (root) await this.#walk(root);
      done++;
      this.#context.monitor.progress({
        filesDone: done,
        filesTotal: snapshots.length,
        bytesDone: 0,
        errorCount: this.#findings.errors.length,
        currentItems: [],
      });
    }
  }

  async #walk(root: Uint8Array): Promise<void> {
    const pending = [root];
    const { clock } = this.#context.environment;
    let turnStart = clock.monotonicMs();
    for (let id = pending.pop(); id; id = pending.pop()) {
      throwIfAborted(this.#context.signal);
      const key = toHex(id);
      if (this.#seen.has(key)) continue;
      this.#seen.add(key);
      const nodes = await this.#load(id, key);
      for (const node of nodes ?? []) {
        const below = this.#checkNode(node, key);
        if (below) pending.push(below);
      }
      if (clock.monotonicMs() - turnStart < 15) continue;
      await clock.nextTurn();
      turnStart = clock.monotonicMs();
    }
  }

  async #load(id: Uint8Array, key: string): Promise<readonly TreeNode[] | undefined> {
    try {
      return await this.#reader.load(id);
    } catch (error) {
      if (!isHoldfastError(error) || isHoldfastError(error, 'CANCELLED')) throw error;
      this.#findings.error(`tree ${key}`, describeError(error));
      this.#findings.lostBlobs.add(blobKey('tree', key));
      return undefined;
    }
  }

  /** Reports what is wrong with a node; returns the tree below it. */
  #checkNode(node: TreeNode, tree: string): Uint8Array | undefined {
    const fault = nodeFault(node);
    if (fault !== undefined) {
      this.damagedTrees.add(tree);
      this.#findings.error(`tree ${tree}`, `node "${pathText(node.name)}" ${fault}`);
    }
    if (node.type === 'dir') return node.subtree;
    if (node.type !== 'file' || !node.content) return undefined;
    const { index } = this.#indexed;
    for (let offset = 0; offset < node.content.byteLength; offset += idSizeBytes) {
      if (index.find('data', node.content, offset) >= 0) continue;
      const id = toHex(node.content.subarray(offset, offset + idSizeBytes));
      const key = blobKey('data', id);
      if (this.#findings.lostBlobs.has(key)) continue;
      this.#findings.lostBlobs.add(key);
      this.#findings.error(
        `tree ${tree}`,
        `blob ${id} of "${pathText(node.name)}" is not in the index`,
      );
    }
    return undefined;
  }
}

function nodeFault(node: TreeNode): string | undefined {
  if (node.invalid !== undefined) return `is not valid: ${node.invalid}`;
  if (!validTypes.has(node.type)) return `has the invalid type "${node.type}"`;
  if (node.type === 'dir' && !node.subtree) return 'has no subtree';
  if (node.type === 'file' && !node.content) return 'has no content list';
  return undefined;
}
