import { throwIfAborted } from '../../base/abort.ts';
import { endsWork, HoldfastError } from '../../base/errors.ts';
import { setMode } from '../../platform/attributes.ts';
import { makeDirectoryAt, unlinkAt } from '../../platform/files.ts';
import { currentIds, isElevated } from '../../platform/machine.ts';
import { type FileStatus, tryReadKind } from '../../platform/status.ts';
import type { TreeNode } from '../../repository/tree.ts';
import { treeDepthMax } from '../trees/tree-budget.ts';
import type { RestoreParts } from './parts.ts';
import { TargetDirectory } from './directories.ts';
import type { Durability } from './durability.ts';
import { applyMetadata, clearAttributes, isOwnerRefused } from './metadata.ts';
import { attributeName, metadataOf } from './plan.ts';

/** What the owner of a directory needs to work in it. */
const enterableMode = 0o700;

/** Makes the directories of a restore, and gives them their metadata once all below is done. */
export class DirectoryMaker {
  readonly #parts: RestoreParts;
  readonly #durability: Durability;
  /** Directories that get metadata at the end, each behind those above it. */
  readonly #done: TargetDirectory[] = [];
  /** Modes that were widened for the time of the restore. */
  readonly #modes: { readonly directory: TargetDirectory; readonly mode: number }[] = [];

  constructor(parts: RestoreParts, durability: Durability) {
    this.#parts = parts;
    this.#durability = durability;
  }

  /**
   * Takes in a directory of the snapshot.
   * @param existing what has its name in the target
   * @param isSelected make it even if nothing is put into it, and set its metadata even if it existed
   */
  take(
    at: { readonly parent: TargetDirectory; readonly node: TreeNode },
    existing: FileStatus | undefined,
    isSelected: boolean,
  ): TargetDirectory {
    if (at.parent.depth >= treeDepthMax) {
      throw new HoldfastError('UNSUPPORTED', { message: 'folders are nested too deep' });
    }
    if (existing?.kind === 'directory') {
      const directory = new TargetDirectory({ ...at, state: 'existed' });
      this.#prepare(directory, existing, isSelected);
      if (isSelected) this.#count(directory);
      return directory;
    }
    if (existing && this.#parts.options.overwrite === 'never') throw inTheWay();
    const directory = new TargetDirectory({ ...at, state: 'planned' });
    if (isSelected) this.make(directory);
    return directory;
  }

  /** Makes a directory that is only planned, with those above it. A dry run only says so. */
  make(directory: TargetDirectory): void {
    const missing: TargetDirectory[] = [];
    let at: TargetDirectory | undefined = directory;
    for (; at?.state === 'planned'; at = at.parent) missing.push(at);
    for (let next = missing.pop(); next; next = missing.pop()) {
      if (this.#parts.options.dryRun) next.state = 'pretended';
      else this.#makeOne(next);
      this.#count(next);
    }
  }

  /** Sets metadata, those deepest in the tree first: what is done in a directory changes its times. */
  async finish(): Promise<void> {
    const { tally, context } = this.#parts;
    const { clock } = context.environment;
    let turnStart = clock.monotonicMs();
    for (const directory of this.#done.toReversed()) {
      throwIfAborted(context.signal);
      this.#guard(directory, () => this.#setMetadata(directory));
      if (clock.monotonicMs() - turnStart < 20) continue;
      await clock.nextTurn();
      turnStart = clock.monotonicMs();
    }
    tally.progress();
  }

  /** Gives directories back the modes that they had, where the snapshot does not decide about them. */
  restoreModes(): void {
    for (const { directory, mode } of this.#modes.splice(0).toReversed()) {
      this.#guard(directory, () => setMode(this.#parts.opener.open(directory), mode));
    }
  }

  #count(directory: TargetDirectory): void {
    const { tally } = this.#parts;
    this.#done.push(directory);
    tally.filesTotal++;
    tally.filesRestored++;
    if (tally.wantsItems) tally.directory('restored', directory.pathOf());
  }

  #prepare(directory: TargetDirectory, existing: FileStatus, isSelected: boolean): void {
    const { opener, options } = this.#parts;
    if (options.dryRun) return;
    const isShut = (existing.mode & enterableMode) !== enterableMode;
    if (isShut && !isElevated() && existing.uid === currentIds().uid) {
      const { parent, name } = directory;
      if (parent) setMode({ directory: opener.open(parent), name }, existing.mode | enterableMode);
      if (!isSelected) this.#modes.push({ directory, mode: existing.mode });
    }
    if (this.#durability.has(existing.device)) return;
    this.#durability.add(existing.device, directory);
  }

  #makeOne(directory: TargetDirectory): void {
    const { parent, name } = directory;
    if (!parent) return;
    const above = this.#parts.opener.open(parent);
    const place = { directory: above, name };
    if (parent.existed && tryReadKind(place)) this.#makeRoom(above, name);
    makeDirectoryAt(above, name, enterableMode);
    directory.state = 'made';
    if (!parent.existed) return;
    try {
      // A default ACL of the directory above would spread to all that is made below.
      clearAttributes(place, { keep: [] });
    } catch (error) {
      if (endsWork(error)) throw error;
      // Then everything below is looked at for inherited attributes.
      directory.state = 'existed';
    }
  }

  #makeRoom(above: number, name: Uint8Array): void {
    if (this.#parts.options.overwrite === 'never') throw inTheWay();
    unlinkAt(above, name);
  }

  #setMetadata(directory: TargetDirectory): void {
    const { opener, options, tally, ways } = this.#parts;
    const { node } = directory;
    if (!node || options.dryRun) return;
    const fd = opener.open(directory);
    const metadata = metadataOf(node, options, directory.existed);
    for (const error of applyMetadata(fd, metadata, 'directory')) {
      // Whoever restores their own home as themselves cannot give the folder above it to root, and need not.
      const isNoMatter = isOwnerRefused(error) && !isElevated();
      if (isNoMatter && ways.isOnlyWay(directory.pathOf())) continue;
      tally.problem(directory.pathOf(), error);
    }
    const { selectAttribute } = options;
    if (!selectAttribute || !directory.existed) return;
    const isCleared = (name: Uint8Array): boolean => selectAttribute(attributeName(name));
    clearAttributes(fd, { keep: metadata.attributes, isCleared });
  }

  #guard(directory: TargetDirectory, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (endsWork(error)) throw error;
      this.#parts.tally.problem(directory.pathOf(), error);
    }
  }
}

function inTheWay(): HoldfastError {
  return new HoldfastError('TARGET_FAILED', {
    message: 'something that is no folder is in the way',
    hint: 'Remove it, or restore with another --overwrite.',
  });
}
