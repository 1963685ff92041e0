import { throwIfAborted } from '../../base/abort.ts';
import { equalBytes, toHex } from '../../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { compareTimestamps } from '../../base/timestamp.ts';
import {
  closeFile,
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  readLinkAt,
  symlinkAt,
  unlinkAt,
} from '../../platform/files.ts';
import { listDirectory } from '../../platform/directory.ts';
import { type FileKind, type FileStatus, tryReadStatus } from '../../platform/status.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { TreeReader } from '../tree-reader.ts';
import type { ContentParts, ContentWriter } from './content.ts';
import { removeBelow } from './remove.ts';
import { TargetDirectory } from './directories.ts';
import { applyMetadata } from './metadata.ts';
import { metadataOf, type PlannedFile, type PlannedLink } from './plan.ts';

/** Directories nested deeper than this are refused: no file system is, but a hostile repository may. */
const depthMax = 20_000;

const kinds: Partial<Record<TreeNode['type'], FileKind>> = {
  file: 'file',
  dir: 'directory',
  symlink: 'symlink',
  dev: 'block',
  chardev: 'character',
  fifo: 'fifo',
};

interface PendingDirectory {
  readonly directory: TargetDirectory;
  readonly tree: Uint8Array;
}

interface DoneDirectory {
  readonly directory: TargetDirectory;
  readonly node: TreeNode;
}

/** Walks the snapshot, makes directories and special files, and plans the content of files. */
export class RestoreWalk {
  readonly #parts: ContentParts;
  readonly #writer: ContentWriter | undefined;
  readonly #trees: TreeReader;
  /** Directories whose metadata is set at the end, parents first. */
  readonly #done: DoneDirectory[] = [];
  readonly #links: PlannedLink[] = [];
  readonly #firstNames = new Map<string, PlannedFile>();
  /** Files of the snapshot, for verification. */
  readonly files: PlannedFile[] = [];

  /** @param writer absent in a dry run */
  constructor(parts: ContentParts, writer: ContentWriter | undefined) {
    this.#parts = parts;
    this.#writer = writer;
    this.#trees = new TreeReader(parts.indexed, { signal: parts.context.signal });
  }

  /** Restores everything below `tree` into the root of the target. */
  async run(tree: Uint8Array): Promise<void> {
    const { context, tally } = this.#parts;
    const pending: PendingDirectory[] = [
      { directory: new TargetDirectory({ existed: true }), tree },
    ];
    for (let next = pending.pop(); next; next = pending.pop()) {
      throwIfAborted(context.signal);
      const below = await this.#enter(next);
      for (const directory of below.toReversed()) pending.push(directory);
      if (this.#writer?.isFull) await this.#writer.flush();
      tally.progress();
    }
    await this.#writer?.drain();
    for (const link of this.#links) this.#guard(link.directory, link.name, () => this.#link(link));
    for (const { directory, node } of this.#done.toReversed())
      this.#finishDirectory(directory, node);
  }

  /** Handles the entries of one directory; returns the directories below it. */
  async #enter({ directory, tree }: PendingDirectory): Promise<PendingDirectory[]> {
    const { tally, opener, options } = this.#parts;
    let nodes: readonly TreeNode[];
    try {
      nodes = await this.#trees.load(tree);
    } catch (error) {
      if (!isHoldfastError(error) || isHoldfastError(error, 'CANCELLED')) throw error;
      tally.problem(directory.pathOf(), error);
      return [];
    }
    const below: PendingDirectory[] = [];
    const names = new Set<string>();
    for (const node of nodes) {
      const key = toHex(node.name);
      const fault = node.invalid ?? (names.has(key) ? 'its name occurs twice' : undefined);
      names.add(key);
      if (fault !== undefined) {
        const error = new HoldfastError('TREE_DAMAGED', {
          message: `an entry is left out: ${fault}`,
        });
        tally.problem(directory.pathOf(node.name), error);
        continue;
      }
      this.#guard(directory, node.name, () => {
        const entered = this.#takeNode(directory, node);
        if (entered) below.push(entered);
      });
    }
    if (options.delete && (directory.existed || !this.#writer)) {
      this.#guard(directory, undefined, () => {
        if (!this.#isThere(directory)) return;
        this.#deleteOthers(opener.open(directory), directory, names);
      });
    }
    return below;
  }

  #takeNode(directory: TargetDirectory, node: TreeNode): PendingDirectory | undefined {
    const { options, tally } = this.#parts;
    const isDirectory = node.type === 'dir';
    const choice = options.select?.(directory.pathOf(node.name), isDirectory);
    if (isDirectory) {
      const enters = !choice || choice.selected || choice.mayHoldSelected;
      return enters ? this.#takeDirectory(directory, node, choice?.selected ?? true) : undefined;
    }
    if (choice && !choice.selected) return undefined;
    if (node.type === 'socket') return undefined;
    tally.filesTotal++;
    tally.bytesTotal += node.sizeBytes;
    if (!kinds[node.type]) {
      throw new HoldfastError('UNSUPPORTED', {
        message: `cannot restore an entry of type ${node.type}`,
      });
    }
    const existing = this.#existing(directory, node.name);
    if (existing && !this.#mayReplace(node, existing)) {
      tally.filesSkipped++;
      tally.bytesSkipped += node.sizeBytes;
      return undefined;
    }
    if (node.type === 'file') this.#takeFile(directory, node, existing);
    else this.#takeSpecial(directory, node, existing);
    return undefined;
  }

  #takeDirectory(
    parent: TargetDirectory,
    node: TreeNode,
    isSelected: boolean,
  ): PendingDirectory | undefined {
    const { opener, tally, options } = this.#parts;
    if (!node.subtree) return undefined;
    if (parent.depth >= depthMax) {
      throw new HoldfastError('UNSUPPORTED', { message: 'directories are nested too deep' });
    }
    const existing = this.#existing(parent, node.name);
    const existed = existing?.kind === 'directory';
    const directory = new TargetDirectory({ parent, name: node.name, existed });
    if (isSelected) {
      tally.filesTotal++;
      tally.filesRestored++;
    }
    if (this.#writer) {
      if (existing && !existed) {
        if (options.overwrite === 'never') return undefined;
        unlinkAt(opener.open(parent), node.name);
      }
      if (!existed) makeDirectoryAt(opener.open(parent), node.name, 0o700);
      if (isSelected || !existed) this.#done.push({ directory, node });
    }
    if (tally.wantsItems && isSelected) {
      tally.item(existed ? 'unchanged' : 'restored', directory.pathOf(), 0);
    }
    return { directory, tree: node.subtree };
  }

  #takeFile(directory: TargetDirectory, node: TreeNode, existing: FileStatus | undefined): void {
    const { options, opener, tally } = this.#parts;
    const isRegular = existing?.kind === 'file';
    const first = this.#firstName(node);
    if (first) {
      tally.filesRestored++;
      this.#links.push({ directory, name: node.name, first });
      return;
    }
    if (existing && !isRegular && this.#writer)
      this.#clear(opener.open(directory), directory, node.name);
    const file: PlannedFile = {
      directory,
      node,
      content: node.content ?? new Uint8Array(0),
      existing: !isRegular ? 'none' : existing.links > 1 ? 'linked' : 'regular',
      isTrusted: isRegular && options.overwrite === 'if-changed' && isSame(existing, node),
    };
    if (node.links > 1) this.#firstNames.set(linkKey(node), file);
    if (options.verify) this.files.push(file);
    if (this.#writer) this.#writer.add(file);
    else this.#takeDry(file);
  }

  #takeDry(file: PlannedFile): void {
    const { tally } = this.#parts;
    tally.filesRestored++;
    const { sizeBytes } = file.node;
    if (file.isTrusted) tally.bytesSkipped += sizeBytes;
    else tally.bytesRestored += sizeBytes;
    const action = file.isTrusted ? 'unchanged' : file.existing === 'none' ? 'restored' : 'updated';
    tally.item(action, file.directory.pathOf(file.node.name), sizeBytes);
  }

  #takeSpecial(directory: TargetDirectory, node: TreeNode, existing: FileStatus | undefined): void {
    const { opener, options, tally } = this.#parts;
    if (this.#writer) {
      const fd = opener.open(directory);
      const isRight = existing && isSameSpecial(fd, node, existing);
      if (existing && !isRight) this.#clear(fd, directory, node.name);
      if (!isRight) makeSpecial(fd, node);
      const metadata = metadataOf(node, options, existing !== undefined || directory.existed);
      const place = { directory: fd, name: node.name };
      for (const error of applyMetadata(place, metadata, node.type === 'symlink')) {
        tally.problem(directory.pathOf(node.name), error);
      }
    }
    tally.filesRestored++;
    tally.item(existing ? 'updated' : 'restored', directory.pathOf(node.name), 0);
  }

  /** Makes room for something of another kind. A directory is removed only if that was asked for. */
  #clear(fd: number, directory: TargetDirectory, name: Uint8Array): void {
    const status = tryReadStatus({ directory: fd, name });
    if (status?.kind !== 'directory') unlinkAt(fd, name);
    else if (this.#parts.options.delete) removeBelow(fd, name);
    else {
      throw new HoldfastError('TARGET_FAILED', {
        message: `a directory is in the way of ${directory.depth === 0 ? 'it' : 'this item'}`,
        hint: 'Remove it, or restore with --delete.',
      });
    }
  }

  #existing(directory: TargetDirectory, name: Uint8Array): FileStatus | undefined {
    // Below a directory that was made a moment ago there is nothing.
    if (!directory.existed && directory.parent) return undefined;
    if (!this.#isThere(directory)) return undefined;
    return tryReadStatus({ directory: this.#parts.opener.open(directory), name });
  }

  /** A dry run meets directories that are not made. */
  #isThere(directory: TargetDirectory): boolean {
    for (let at: TargetDirectory | undefined = directory; at; at = at.parent) {
      if (!at.existed) return this.#writer !== undefined;
    }
    return true;
  }

  #mayReplace(node: TreeNode, existing: FileStatus): boolean {
    switch (this.#parts.options.overwrite) {
      case 'always':
      case 'if-changed':
        return true;
      case 'if-newer':
        return compareTimestamps(node.mtime, existing.mtime) > 0;
      case 'never':
        return false;
    }
  }

  #firstName(node: TreeNode): PlannedFile | undefined {
    return node.links > 1 ? this.#firstNames.get(linkKey(node)) : undefined;
  }

  #link({ directory, name, first }: PlannedLink): void {
    const { opener, tally } = this.#parts;
    if (!this.#writer) return;
    if (!this.#writer.finished.has(first)) {
      throw new HoldfastError('TARGET_FAILED', {
        message: 'the file that it is a further name of could not be restored',
      });
    }
    const from = opener.openOwn(first.directory);
    try {
      const to = opener.open(directory);
      const source = tryReadStatus({ directory: from, name: first.node.name });
      const existing = tryReadStatus({ directory: to, name });
      if (
        existing &&
        source &&
        existing.inode === source.inode &&
        existing.device === source.device
      ) {
        return;
      }
      if (existing) this.#clear(to, directory, name);
      linkAt({ directory: from, name: first.node.name }, { directory: to, name });
      tally.item('restored', directory.pathOf(name), 0);
    } finally {
      closeFile(from);
    }
  }

  #deleteOthers(fd: number, directory: TargetDirectory, names: ReadonlySet<string>): void {
    const { options, tally } = this.#parts;
    for (const name of listDirectory(fd)) {
      if (names.has(toHex(name))) continue;
      const status = tryReadStatus({ directory: fd, name });
      if (!status) continue;
      const path = directory.pathOf(name);
      const choice = options.select?.(path, status.kind === 'directory');
      if (choice && !choice.selected) continue;
      if (this.#writer) {
        if (status.kind === 'directory') removeBelow(fd, name);
        else unlinkAt(fd, name);
      }
      tally.filesDeleted++;
      tally.item('deleted', path, 0);
    }
  }

  #finishDirectory(directory: TargetDirectory, node: TreeNode): void {
    this.#guard(directory, undefined, () => {
      const fd = this.#parts.opener.open(directory);
      const metadata = metadataOf(
        node,
        this.#parts.options,
        directory.existed || hasParentThatExisted(directory),
      );
      for (const error of applyMetadata(fd, metadata, false)) {
        this.#parts.tally.problem(directory.pathOf(), error);
      }
    });
  }

  /** Runs `action`; what it throws for one item is a problem of that item. */
  #guard(directory: TargetDirectory, name: Uint8Array | undefined, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!isHoldfastError(error) || isHoldfastError(error, 'CANCELLED', 'ASSERTION_FAILED'))
        throw error;
      this.#parts.tally.problem(directory.pathOf(name), error);
    }
  }
}

function hasParentThatExisted(directory: TargetDirectory): boolean {
  return directory.parent?.existed === true;
}

function linkKey(node: TreeNode): string {
  return `${node.deviceId}:${node.inode}`;
}

function isSame(existing: FileStatus, node: TreeNode): boolean {
  return (
    existing.sizeBytes === node.sizeBytes && compareTimestamps(existing.mtime, node.mtime) === 0
  );
}

function isSameSpecial(directory: number, node: TreeNode, existing: FileStatus): boolean {
  if (existing.kind !== kinds[node.type]) return false;
  if (node.type === 'symlink') {
    return equalBytes(readLinkAt(directory, node.name), node.linkTarget ?? new Uint8Array(0));
  }
  return node.type === 'fifo' || existing.rdev === node.device;
}

function makeSpecial(directory: number, node: TreeNode): void {
  if (node.type === 'symlink') {
    symlinkAt(directory, node.name, node.linkTarget ?? new Uint8Array(0));
    return;
  }
  const kind = kinds[node.type];
  if (kind !== 'block' && kind !== 'character' && kind !== 'fifo') {
    throw new HoldfastError('UNSUPPORTED', {
      message: `cannot make an entry of type ${node.type}`,
    });
  }
  makeNodeAt(directory, node.name, { kind, mode: 0o600, rdev: node.device });
}
