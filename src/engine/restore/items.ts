import { equalBytes } from '../../base/bytes.ts';
import { endsWork, HoldfastError, isHoldfastError, systemCode } from '../../base/errors.ts';
import { compareTimestamps } from '../../base/timestamp.ts';
import { listDirectory, openDirectoryAt } from '../../platform/directory.ts';
import { closeFile, makeNodeAt, readLinkAt, symlinkAt, unlinkAt } from '../../platform/files.ts';
import { type FileKind, type FileStatus, tryReadKind } from '../../platform/status.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { keptBytesMin } from './batch-file.ts';
import type { ContentWriter } from './content.ts';
import type { RestoreParts } from './parts.ts';
import type { TargetDirectory } from './directories.ts';
import { firstMissing, HardLinks } from './hard-links.ts';
import { applyMetadata, clearAttributes } from './metadata.ts';
import { attributeName, metadataOf, type PlannedFile } from './plan.ts';
import { Remover } from './remove.ts';

const kinds: Partial<Record<TreeNode['type'], FileKind>> = {
  file: 'file',
  symlink: 'symlink',
  dev: 'block',
  chardev: 'character',
  fifo: 'fifo',
};

/** Restores what is no directory: plans files, makes links, devices and FIFOs. */
export class ItemRestorer {
  readonly #parts: RestoreParts;
  readonly #writer: ContentWriter;
  readonly #remover: Remover;
  readonly #links = new HardLinks();

  constructor(parts: RestoreParts, writer: ContentWriter) {
    this.#parts = parts;
    this.#writer = writer;
    this.#remover = new Remover(parts);
  }

  /**
   * Takes in an entry of the snapshot.
   * @param existing what has its name in the target
   * @returns true if what an interrupted run left of it under its temporary name is to be kept
   */
  take(directory: TargetDirectory, node: TreeNode, existing: FileStatus | undefined): boolean {
    const { tally } = this.#parts;
    tally.filesTotal++;
    if (!kinds[node.type]) {
      const message = `cannot restore an entry of type ${node.type}`;
      throw new HoldfastError('UNSUPPORTED', { message });
    }
    if (existing && !this.#mayReplace(node, existing)) {
      tally.bytesTotal += node.sizeBytes;
      tally.skipFile(node.sizeBytes);
      tally.item('unchanged', directory.pathOf(node.name), node.sizeBytes);
      return false;
    }
    if (existing?.kind === 'directory') this.#removeDirectory(directory, node.name);
    if (node.links > 1 && this.#takeFurther(directory, node, existing)) return false;
    if (node.type === 'file') return this.#takeFile(directory, node, existing);
    this.#takeSpecial(directory, node, existing);
    return false;
  }

  /** Takes in the files that waited for further names in vain, once all of the snapshot was looked at. */
  async finishFiles(): Promise<void> {
    for (const file of this.#links.takeIncomplete()) {
      this.#writer.add(file);
      if (this.#writer.isFull) await this.#writer.flush();
    }
  }

  /** Gives the further names to what has several, once all files are written. */
  finishLinks(): void {
    for (const link of this.#links.furtherNames) {
      const { directory, name, first } = link;
      const path = directory.pathOf(name);
      try {
        this.#finishLink(link, first.file);
        this.#parts.tally.restoreFile(0, 0);
        this.#parts.tally.item('restored', path, 0);
      } catch (error) {
        if (endsWork(error)) throw error;
        this.#parts.tally.problem(path, error);
      }
    }
  }

  #finishLink(link: HardLinks['furtherNames'][number], file: PlannedFile | undefined): void {
    if (file && !this.#writer.finished.has(file)) throw firstMissing();
    if (this.#parts.options.dryRun) return;
    this.#links.make(link, this.#parts, () => {
      const { directory, name } = link;
      const fd = this.#parts.opener.open(directory);
      if (tryReadKind({ directory: fd, name }) !== 'directory') unlinkAt(fd, name);
      else this.#removeDirectory(directory, name);
    });
  }

  /** Takes in a further name of a file that came before; false if none did. */
  #takeFurther(
    directory: TargetDirectory,
    node: TreeNode,
    existing: FileStatus | undefined,
  ): boolean {
    const found = this.#links.addFurther({ directory, name: node.name }, node, existing);
    if (typeof found === 'boolean') return found;
    if (existing) this.#letStay(found, existing);
    this.#writer.add(found);
    return true;
  }

  #letStay(file: PlannedFile, existing: FileStatus): void {
    const { options, trustsTimes } = this.#parts;
    file.canStay = true;
    file.isTrusted =
      trustsTimes && options.overwrite === 'if-changed' && isSame(existing, file.node);
  }

  #takeFile(directory: TargetDirectory, node: TreeNode, existing: FileStatus | undefined): boolean {
    const file: PlannedFile = {
      directory,
      node,
      content: node.content ?? new Uint8Array(0),
      existing: existing && existing.kind !== 'directory' ? existingOf(existing) : 'none',
      linkCount: existing?.links ?? 1,
      canStay: false,
      isTrusted: false,
    };
    this.#parts.tally.bytesTotal += node.sizeBytes;
    this.#links.addFirst({ directory, name: node.name }, node, file);
    if (existing && file.existing === 'regular') this.#letStay(file, existing);
    const waits = existing && file.existing === 'linked' && this.#links.await(file, existing);
    if (!waits) this.#writer.add(file);
    return file.existing === 'none' && node.sizeBytes > keptBytesMin;
  }

  #takeSpecial(directory: TargetDirectory, node: TreeNode, existing: FileStatus | undefined): void {
    const { options, tally } = this.#parts;
    if (!options.dryRun) this.#makeSpecial(directory, node, existing);
    this.#links.addFirst({ directory, name: node.name }, node);
    tally.restoreFile(0, 0);
    tally.item('restored', directory.pathOf(node.name), 0);
  }

  #makeSpecial(directory: TargetDirectory, node: TreeNode, existing: FileStatus | undefined): void {
    const { opener, options, tally } = this.#parts;
    const fd = opener.open(directory);
    const place = { directory: fd, name: node.name };
    // What has further names is made anew: they may lie outside the target.
    const isRight = existing?.links === 1 && isSameSpecial(fd, node, existing);
    if (!isRight) {
      if (existing && existing.kind !== 'directory') unlinkAt(fd, node.name);
      makeSpecial(fd, node);
    }
    const mayHaveOthers = existing !== undefined || directory.existed;
    const metadata = metadataOf(node, options, mayHaveOthers);
    const kind = node.type === 'symlink' ? 'link' : 'special';
    for (const error of applyMetadata(place, metadata, kind)) {
      tally.problem(directory.pathOf(node.name), error);
    }
    const { selectAttribute } = options;
    if (!selectAttribute || !mayHaveOthers) return;
    const isCleared = (name: Uint8Array): boolean => selectAttribute(attributeName(name));
    clearAttributes(place, { keep: metadata.attributes, isCleared });
  }

  /** Makes room where a directory is: if it is empty, or if removing was asked for. */
  #removeDirectory(directory: TargetDirectory, name: Uint8Array): void {
    const { opener, options } = this.#parts;
    if (options.delete) return this.#remover.removeWhole(directory, name);
    const fd = opener.open(directory);
    try {
      if (!options.dryRun) unlinkAt(fd, name, { directory: true });
      else if (!isEmptyDirectory(fd, name)) throw notEmpty();
    } catch (error) {
      const code = systemCode(error instanceof Error ? error.cause : undefined);
      const isFull = code === 'ENOTEMPTY' || isHoldfastError(error, 'FILE_EXISTS');
      throw isFull ? notEmpty() : error;
    }
  }

  #mayReplace(node: TreeNode, existing: FileStatus): boolean {
    switch (this.#parts.options.overwrite) {
      case 'always':
      case 'if-changed':
        return true;
      case 'if-newer': {
        const order = compareTimestamps(node.mtime, existing.mtime);
        // What has the time of the snapshot and may be wrong is compared.
        return order > 0 || (order === 0 && !this.#parts.trustsTimes);
      }
      case 'never':
        return false;
    }
  }
}

function existingOf({ kind, links }: FileStatus): PlannedFile['existing'] {
  if (kind !== 'file') return 'other';
  return links > 1 ? 'linked' : 'regular';
}

function isEmptyDirectory(directory: number, name: Uint8Array): boolean {
  const fd = openDirectoryAt(directory, name);
  try {
    return listDirectory(fd).length === 0;
  } finally {
    closeFile(fd);
  }
}

function notEmpty(): HoldfastError {
  return new HoldfastError('TARGET_FAILED', {
    message: 'a folder that is not empty is in the way',
    hint: 'Remove it, or restore with --delete.',
  });
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
  return node.type === 'fifo' || BigInt(existing.rdev) === BigInt(node.device);
}

function makeSpecial(directory: number, node: TreeNode): void {
  if (node.type === 'symlink') {
    const target = node.linkTarget ?? new Uint8Array(0);
    if (target.includes(0)) {
      throw new HoldfastError('TREE_DAMAGED', { message: 'the target of a link has a null byte' });
    }
    symlinkAt(directory, node.name, target);
    return;
  }
  const kind = kinds[node.type];
  if (kind !== 'block' && kind !== 'character' && kind !== 'fifo') {
    const message = `cannot make an entry of type ${node.type}`;
    throw new HoldfastError('UNSUPPORTED', { message });
  }
  makeNodeAt(directory, node.name, { kind, mode: 0o600, rdev: node.device });
}
