import { defined } from '../../base/assert.ts';
import { fromHex, toHex } from '../../base/bytes.ts';
import { endsWork, HoldfastError } from '../../base/errors.ts';
import type { Timestamp } from '../../base/timestamp.ts';
import { shortId } from '../../repository/id.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import type { StoredSnapshot } from '../../repository/snapshots.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { SourceEntry } from '../../sources/source.ts';
import type { EngineContext } from '../context.ts';
import { findChild, pathText } from '../trees/snapshot-path.ts';
import { emptyTreeId } from './empty-tree.ts';
import type { BackupOptions } from './options.ts';
import { selectParent } from './parent-snapshot.ts';
import { type BackupReport } from './report.ts';
import type { TreeFrame } from './tree-frame.ts';

/** What `EmptiedSources` compares with, and whom it tells. */
export interface EmptiedParts {
  readonly indexed: IndexedRepository;
  readonly report: BackupReport;
  readonly options: BackupOptions;
  readonly context: EngineContext;
  /** Targets, as the snapshot records them. */
  readonly paths: readonly string[];
  /** Snapshots that there are, the oldest first. */
  readonly earlier: readonly StoredSnapshot[];
  /** Of the new snapshot. */
  readonly time: Timestamp;
}

/**
 * Finds directories that are empty although they should not be: a disk that is not mounted, a source somebody has
 * emptied. Such a backup must not look like a good one.
 *
 * Earlier snapshots are asked only when an empty directory calls for it.
 */
export class EmptiedSources {
  readonly #parts: EmptiedParts;
  #compared: Promise<StoredSnapshot | undefined> | undefined;

  constructor(parts: EmptiedParts) {
    this.#parts = parts;
  }

  /** Looks at a directory without entries. Never rejects for the sake of an earlier snapshot. */
  async look(frame: TreeFrame): Promise<void> {
    const { entry } = frame;
    if (!entry) return;
    const isTarget = this.#parts.paths.includes(pathText(entry.path));
    const before = frame.previousNode ?? (await this.#nodeBefore(frame));
    if (before && !isEmpty(before)) this.#tellOfParent(entry, before, isTarget);
    else if (isTarget) await this.#lookFurther(frame, entry, before);
  }

  #tellOfParent(entry: SourceEntry, before: TreeNode, isTarget: boolean): void {
    if (isOnOtherDevice(entry, before)) this.#complain(entry, otherDevice);
    else if (isTarget) this.#complain(entry, 'it is empty, and was not in the parent snapshot');
  }

  /** A target that the parent does not have, or has empty: whether any snapshot of this host has more. */
  async #lookFurther(
    frame: TreeFrame,
    entry: SourceEntry,
    before: TreeNode | undefined,
  ): Promise<void> {
    const held = await this.#lastHeld(frame, entry);
    if (!held) {
      if (!before) this.#parts.report.note(`${pathText(entry.path)}: this folder is empty`);
      return;
    }
    if (isOnOtherDevice(entry, held.node)) this.#complain(entry, otherDevice);
    else if (!before) {
      this.#complain(entry, `it is empty, and was not in snapshot ${shortId(held.snapshot.id)}`);
    }
  }

  #complain(entry: SourceEntry, message: string): void {
    const error = new HoldfastError('SOURCE_EMPTY', { message });
    this.#parts.report.problem(entry.path, error, 'archival');
  }

  /** The directory in the snapshot that would be the parent, were not every file to be read again. */
  async #nodeBefore(frame: TreeFrame): Promise<TreeNode | undefined> {
    const { indexed, options, paths, time, earlier } = this.#parts;
    if (!options.force) return undefined;
    const request = { options: { ...options, force: false }, time, earlier };
    this.#compared ??= selectParent(indexed.repository, paths, request);
    const compared = await this.#compared;
    return compared && this.#find(compared, namesOf(frame));
  }

  /** The newest snapshot of this host in which the target holds something. */
  async #lastHeld(
    frame: TreeFrame,
    entry: SourceEntry,
  ): Promise<{ snapshot: StoredSnapshot; node: TreeNode } | undefined> {
    const { options, earlier } = this.#parts;
    const snapshots = earlier.filter(({ hostname }) => hostname === options.hostname);
    const seen = new Set<string>();
    for (const snapshot of snapshots.toReversed()) {
      if (seen.has(snapshot.tree)) continue;
      seen.add(snapshot.tree);
      // Another backup may have named the target by a relative path, or by its whole one.
      for (const names of [namesOf(frame), componentsOf(entry.path)]) {
        const node = await this.#find(snapshot, names);
        if (node && !isEmpty(node)) return { snapshot, node };
      }
    }
    return undefined;
  }

  /** The directory at a path of a snapshot; undefined if there is none, or if it cannot be read. */
  async #find(
    snapshot: StoredSnapshot,
    names: readonly Uint8Array[],
  ): Promise<TreeNode | undefined> {
    const { indexed, context } = this.#parts;
    let tree: Uint8Array | undefined = fromHex(snapshot.tree);
    let node: TreeNode | undefined;
    try {
      for (const name of names) {
        if (!tree) return undefined;
        node = await findChild(indexed, tree, name, { signal: context.signal });
        tree = node?.subtree;
      }
    } catch (error) {
      // What it holds is not known: "check" tells of the damage.
      if (endsWork(error)) throw error;
      return undefined;
    }
    return node?.type === 'dir' ? node : undefined;
  }
}

const otherDevice = 'it is empty and on another device than before: is its file system mounted?';

function isEmpty({ subtree }: TreeNode): boolean {
  return subtree !== undefined && toHex(subtree) === emptyTreeId;
}

/** 0 stands for a device that was not stored. */
function isOnOtherDevice({ status }: SourceEntry, { deviceId }: TreeNode): boolean {
  return Number(deviceId) !== 0 && deviceId !== status.device;
}

/** The names that lead to a directory from the root of the snapshot. */
function namesOf(frame: TreeFrame): Uint8Array[] {
  const names: Uint8Array[] = [];
  for (let at: TreeFrame | undefined = frame; at?.entry; at = at.parent) {
    names.push(defined(at.node, 'a listed directory has a node').name);
  }
  return names.toReversed();
}

function componentsOf(path: Uint8Array): Uint8Array[] {
  const text = Buffer.from(path).toString('latin1');
  return text
    .split('/')
    .filter((name) => name !== '')
    .map((name) => Buffer.from(name, 'latin1'));
}
