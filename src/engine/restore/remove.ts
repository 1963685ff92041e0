import { endsWork, HoldfastError } from '../../base/errors.ts';
import { listDirectory } from '../../platform/directory.ts';
import { unlinkAt } from '../../platform/files.ts';
import { isMounted } from '../../platform/mounts.ts';
import { type FileKind, tryReadKind } from '../../platform/status.ts';
import type { KeptNames, NameSet } from './name-set.ts';
import type { RestoreParts } from './parts.ts';
import { TargetDirectory } from './directories.ts';
import { isHalfName } from './temporary-name.ts';

interface Level {
  readonly directory: TargetDirectory;
  /** What is still to be looked at. */
  readonly names: Uint8Array[];
  /** Everything in it so far went, so it may go as well. */
  isEmptied: boolean;
}

/** Removes from the target what the snapshot does not have. Never follows a link or enters a mounted file system. */
export class Remover {
  readonly #parts: RestoreParts;
  /** Directories where something is mounted that were told of. */
  readonly #spared = new Set<TargetDirectory>();

  constructor(parts: RestoreParts) {
    this.#parts = parts;
  }

  /**
   * Removes what was in `directory` and is not marked, as far as it is selected. Directories come here after those
   * above them.
   */
  removeOthers(
    directory: TargetDirectory,
    { present, kept }: { readonly present: NameSet; readonly kept: KeptNames },
  ): void {
    const { options } = this.#parts;
    this.#findMount(directory);
    for (const name of present.unmarked()) {
      if (kept.has(name) || this.spares(name)) continue;
      const choice = options.select?.(directory.pathOf(name), this.#isDirectory(directory, name));
      if (choice && !choice.selected) continue;
      if (directory.mount) return this.#spare(directory.mount);
      this.#guard(directory.pathOf(name), () => this.#remove(directory, name, true));
    }
  }

  /** True for a file that is half updated, where it may be one that is not selected to be removed. */
  spares(name: Uint8Array): boolean {
    const { select, delete: removes } = this.#parts.options;
    return (!removes || select !== undefined) && isHalfName(name);
  }

  /** Removes a directory and all that is in it, to make room for something else. */
  removeWhole(directory: TargetDirectory, name: Uint8Array): void {
    this.#remove(directory, name, false);
  }

  #isDirectory(directory: TargetDirectory, name: Uint8Array): boolean {
    return this.#kind(directory, name) === 'directory';
  }

  #kind(directory: TargetDirectory, name: Uint8Array): FileKind | undefined {
    return tryReadKind({ directory: this.#parts.opener.open(directory), name });
  }

  #remove(parent: TargetDirectory, name: Uint8Array, isFiltered: boolean): void {
    const kind = this.#kind(parent, name);
    if (!kind) return;
    if (kind !== 'directory') return this.#unlink(parent, name, false);
    const levels: Level[] = [this.#enter(parent, name)];
    for (let level = levels.at(-1); level; level = levels.at(-1)) {
      const { directory } = level;
      const next = level.names.pop();
      if (!next) {
        levels.pop();
        const above = directory.parent ?? parent;
        if (level.isEmptied) this.#unlink(above, directory.name, true);
        const aboveLevel = levels.at(-1);
        if (aboveLevel && !level.isEmptied) aboveLevel.isEmptied = false;
        continue;
      }
      const found = this.#kind(directory, next);
      if (!found) continue;
      const isDirectory = found === 'directory';
      const { select } = this.#parts.options;
      const choice = isFiltered ? select?.(directory.pathOf(next), isDirectory) : undefined;
      if (choice?.selected === false || (isFiltered && this.spares(next))) level.isEmptied = false;
      else if (isDirectory) levels.push(...this.#tryEnter(level, next, isFiltered));
      else this.#unlink(directory, next, false);
    }
  }

  #enter(parent: TargetDirectory, name: Uint8Array): Level {
    const directory = new TargetDirectory({ parent, name, state: 'existed' });
    if (this.#isMounted(directory)) throw mounted();
    const { opener } = this.#parts;
    return { directory, names: listDirectory(opener.open(directory)), isEmptied: true };
  }

  /** What cannot be entered stays, and with it what is above; to make room for something else all has to go. */
  #tryEnter(level: Level, name: Uint8Array, mayStay: boolean): Level[] {
    const { directory } = level;
    if (!mayStay) return [this.#enter(directory, name)];
    const entered: Level[] = [];
    this.#guard(directory.pathOf(name), () => entered.push(this.#enter(directory, name)));
    if (entered.length === 0) level.isEmptied = false;
    return entered;
  }

  #findMount(directory: TargetDirectory): void {
    const { parent } = directory;
    directory.mount = parent?.mount ?? (this.#isMounted(directory) ? directory : undefined);
  }

  #isMounted(directory: TargetDirectory): boolean {
    const { parent } = directory;
    if (!parent) return false;
    const { opener } = this.#parts;
    const above = opener.openOwn(parent);
    try {
      return isMounted(opener.open(directory), above);
    } finally {
      opener.release(above);
    }
  }

  /** Tells once of a mount that something in it stays. */
  #spare(mount: TargetDirectory): void {
    if (this.#spared.has(mount)) return;
    this.#spared.add(mount);
    this.#parts.tally.problem(mount.pathOf(), mounted());
  }

  #unlink(directory: TargetDirectory, name: Uint8Array, isDirectory: boolean): void {
    const { opener, options, tally } = this.#parts;
    if (!options.dryRun) unlinkAt(opener.open(directory), name, { directory: isDirectory });
    tally.filesDeleted++;
    if (!tally.wantsItems) return;
    if (isDirectory) tally.directory('deleted', directory.pathOf(name));
    else tally.item('deleted', directory.pathOf(name), 0);
  }

  #guard(path: Uint8Array, action: () => void): void {
    try {
      action();
    } catch (error) {
      if (endsWork(error)) throw error;
      this.#parts.tally.problem(path, error);
    }
  }
}

function mounted(): HoldfastError {
  return new HoldfastError('TARGET_FAILED', {
    message: 'a file system is mounted here: nothing in it is removed',
    hint: 'To remove there what the snapshot lacks, restore that folder of the snapshot into it by itself.',
  });
}
