import { pathText } from '../trees/snapshot-path.ts';
import { throwIfAborted } from '../../base/abort.ts';
import { endsWork, HoldfastError } from '../../base/errors.ts';
import { listNames } from '../../platform/directory.ts';
import { unlinkAt } from '../../platform/files.ts';
import { type FileStatus, readStatusOf, tryReadStatus } from '../../platform/status.ts';
import type { TreeNode, TreeNodes } from '../../repository/tree.ts';
import { TreeReader } from '../trees/tree-reader.ts';
import type { ContentWriter } from './content.ts';
import type { RestoreParts } from './parts.ts';
import { TargetDirectory } from './directories.ts';
import { DirectoryMaker } from './directory-maker.ts';
import type { Durability } from './durability.ts';
import { ItemRestorer } from './items.ts';
import { KeptNames, NameSet } from './name-set.ts';
import { Remover } from './remove.ts';
import { markName } from './restore-mark.ts';
import { TakenNames } from './taken-names.ts';
import {
  freshSalt,
  isHalfName,
  isTemporaryName,
  saltFor,
  temporaryName,
} from './temporary-name.ts';
import { TreeBudget } from '../trees/tree-budget.ts';

/** Work of this thread before it looks for messages of the others. */
const turnMsMax = 5;
/** Entries of one directory that are planned before the writer is asked whether it has enough. */
const entriesAtOnce = 1024;

const halfNote =
  ': an interrupted restore was updating this file: restore it again, or remove it if it is not needed';

/** What is known of the names in the directory at hand; undefined: it was not there before. */
interface NamesAtHand {
  readonly present: NameSet | undefined;
  readonly taken: TakenNames | undefined;
  /** Temporary names of files that this run goes on with. */
  readonly kept: KeptNames;
}

interface PendingDirectory {
  readonly directory: TargetDirectory;
  readonly tree: Uint8Array;
}

/** Walks the snapshot, makes directories and special files, and plans the content of files. */
export class RestoreWalk {
  readonly #parts: RestoreParts;
  readonly #writer: ContentWriter;
  readonly #trees: TreeReader;
  readonly #budget: TreeBudget;
  readonly #directories: DirectoryMaker;
  readonly #items: ItemRestorer;
  readonly #remover: Remover;

  constructor(parts: RestoreParts, writer: ContentWriter, durability: Durability) {
    this.#parts = parts;
    this.#writer = writer;
    this.#trees = new TreeReader(parts.indexed, { signal: parts.context.signal });
    this.#budget = new TreeBudget(parts.indexed.index);
    this.#directories = new DirectoryMaker(parts, durability);
    this.#items = new ItemRestorer(parts, writer);
    this.#remover = new Remover(parts);
  }

  /** Restores everything below `tree` into the root of the target. */
  async run(tree: Uint8Array, root: TargetDirectory): Promise<void> {
    const { context, tally } = this.#parts;
    const { clock } = context.environment;
    try {
      const pending: PendingDirectory[] = [{ directory: root, tree }];
      let turnStart = clock.monotonicMs();
      for (let next = pending.pop(); next; next = pending.pop()) {
        throwIfAborted(context.signal);
        const below = await this.#enter(next);
        for (const directory of below.toReversed()) pending.push(directory);
        if (this.#writer.isFull) await this.#writer.flush();
        tally.progress();
        if (clock.monotonicMs() - turnStart < turnMsMax) continue;
        await clock.nextTurn();
        turnStart = clock.monotonicMs();
      }
      await this.#items.finishFiles();
      await this.#writer.drain();
      this.#items.finishLinks();
      await this.#directories.finish();
    } finally {
      this.#directories.restoreModes();
    }
  }

  /** Handles the entries of one directory; returns the directories below it. */
  async #enter({ directory, tree }: PendingDirectory): Promise<PendingDirectory[]> {
    const { tally, context, isShared } = this.#parts;
    let nodes: TreeNodes;
    try {
      nodes = await this.#trees.load(tree);
      this.#budget.enter(tree, nodes.length);
    } catch (error) {
      if (endsWork(error)) throw error;
      tally.problem(directory.pathOf(), error);
      return [];
    }
    const { random } = context.environment;
    directory.temporarySalt = isShared ? freshSalt(random) : saltFor(names(nodes), random);
    // Before anything is written here: what this run writes is under other names meanwhile.
    const present = this.#presentIn(directory);
    if (!directory.parent) present?.mark(markName);
    const kept = new KeptNames();
    const taken = present && this.#takenNames(directory, nodes, present);
    const below = await this.#takeAll(directory, nodes, { present, kept, taken });
    if (!present) return below;
    // Files of this directory may be on their way already, one of them under the name that is to be removed.
    const hasBegun = nodes.length >= entriesAtOnce;
    if (hasBegun && present.hasUnmarked(isTemporaryName)) await this.#writer.drain();
    this.#guard(directory, undefined, () => {
      this.#removeLeftovers(directory, present, kept);
      if (this.#parts.options.delete) this.#remover.removeOthers(directory, { present, kept });
    });
    return below;
  }

  /** Handles the entries in their order, as fast as content can be written. */
  async #takeAll(
    directory: TargetDirectory,
    nodes: TreeNodes,
    atHand: NamesAtHand,
  ): Promise<PendingDirectory[]> {
    const { tally, context } = this.#parts;
    const below: PendingDirectory[] = [];
    let count = 0;
    for (const node of nodes) {
      this.#guard(directory, node.name, () => {
        const entered = this.#take(directory, node, atHand);
        if (entered) below.push(entered);
      });
      // Between directories `run` looks after this.
      if (++count % entriesAtOnce !== 0) continue;
      throwIfAborted(context.signal);
      if (this.#writer.isFull) await this.#writer.flush();
      tally.progress();
    }
    return below;
  }

  /** The names that are in a directory of the target already; undefined if it was not there before. */
  #presentIn(directory: TargetDirectory): NameSet | undefined {
    if (!directory.existed) return undefined;
    let present: NameSet | undefined;
    this.#guard(directory, undefined, () => {
      present = new NameSet(listNames(this.#parts.opener.open(directory)));
    });
    return present;
  }

  /** Handles one entry; returns it if it is a directory to be entered. */
  #take(
    directory: TargetDirectory,
    node: TreeNode,
    { present, kept, taken }: NamesAtHand,
  ): PendingDirectory | undefined {
    const { options, tally } = this.#parts;
    const wasListed = present?.mark(node.name) ?? false;
    if (node.invalid !== undefined) {
      const message = `an entry is left out: ${node.invalid}`;
      throw new HoldfastError('TREE_DAMAGED', { message });
    }
    const isDirectory = node.type === 'dir';
    const choice = options.select?.(directory.pathOf(node.name), isDirectory);
    const isSelected = choice?.selected ?? true;
    if (!isSelected && !(isDirectory && choice?.mayHoldSelected)) return undefined;
    if (node.type === 'socket') {
      tally.note(`${pathText(directory.pathOf(node.name))}: sockets are not restored`);
      return undefined;
    }
    const existing = this.#existing(directory, node.name);
    if (existing) taken?.take(node.name, { status: existing, wasListed });
    if (isDirectory) {
      if (!node.subtree) return undefined;
      const entered = this.#directories.take({ parent: directory, node }, existing, isSelected);
      return { directory: entered, tree: node.subtree };
    }
    this.#directories.make(directory);
    const isKept = this.#items.take(directory, node, existing);
    if (isKept) {
      for (const kind of ['part', 'half'] as const) {
        kept.add(temporaryName(node.name, directory.temporarySalt, kind));
      }
    }
    return undefined;
  }

  /** What has a name in the target. In a directory that was not there before this is not even asked. */
  #existing(directory: TargetDirectory, name: Uint8Array): FileStatus | undefined {
    if (!directory.existed) return undefined;
    return tryReadStatus({ directory: this.#parts.opener.open(directory), name });
  }

  #takenNames(directory: TargetDirectory, nodes: TreeNodes, present: NameSet): TakenNames {
    const { opener } = this.#parts;
    let device: number | bigint | undefined;
    return new TakenNames({
      present,
      device: () => (device ??= readStatusOf(opener.open(directory)).device),
      status: (name) => this.#existing(directory, name),
      isListedNow: (name) => listNames(opener.open(directory)).find(name) >= 0,
      wanted: () => names(nodes),
    });
  }

  /**
   * Removes what interrupted runs left under temporary names; not what they were updating: that is somebody's file,
   * and it may have been of a name that is not selected now.
   */
  #removeLeftovers(directory: TargetDirectory, present: NameSet, kept: KeptNames): void {
    const { opener, options, tally, isShared } = this.#parts;
    if (options.dryRun || isShared) return;
    const fd = opener.open(directory);
    for (const name of present.unmarked()) {
      if (!isTemporaryName(name) || kept.has(name)) continue;
      if (isHalfName(name)) {
        if (this.#remover.spares(name))
          tally.note(`${pathText(directory.pathOf(name))}${halfNote}`);
        continue;
      }
      if (tryReadStatus({ directory: fd, name })?.kind === 'file') unlinkAt(fd, name);
    }
  }

  /** Runs `action`; what it throws for one item is a problem of that item. */
  #guard(directory: TargetDirectory, name: Uint8Array | undefined, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (endsWork(error)) throw error;
      this.#parts.tally.problem(directory.pathOf(name), error);
    }
  }
}

function* names(nodes: TreeNodes): Generator<Uint8Array> {
  for (const { name } of nodes) yield name;
}
