import { endsWork, HoldfastError } from '../../base/errors.ts';
import { listDirectory } from '../../platform/directory.ts';
import { unlinkAt } from '../../platform/files.ts';
import { type FileKind, readStatusAt, readStatusOf, tryReadKind } from '../../platform/status.ts';
import type { NameSet } from './name-set.ts';
import type { RestoreParts } from './parts.ts';
import { TargetDirectory } from './directories.ts';

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

  constructor(parts: RestoreParts) {
    this.#parts = parts;
  }

  /** Removes what was in `directory` and is not marked, as far as it is selected. */
  removeOthers(directory: TargetDirectory, present: NameSet): void {
    const { options } = this.#parts;
    for (const name of present.unmarked()) {
      const choice = options.select?.(directory.pathOf(name), this.#isDirectory(directory, name));
      if (choice && !choice.selected) continue;
      this.#guard(directory.pathOf(name), () => this.#remove(directory, name, true));
    }
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
      if (choice?.selected === false) level.isEmptied = false;
      else if (isDirectory) levels.push(this.#enter(directory, next));
      else this.#unlink(directory, next, false);
    }
  }

  #enter(parent: TargetDirectory, name: Uint8Array): Level {
    const { opener } = this.#parts;
    const above = opener.open(parent);
    const directory = new TargetDirectory({ parent, name, state: 'existed' });
    if (readStatusAt(above, name).device !== readStatusOf(above).device) {
      throw new HoldfastError('TARGET_FAILED', {
        message: 'a file system is mounted here: nothing in it is removed',
      });
    }
    return { directory, names: listDirectory(opener.open(directory)), isEmptied: true };
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
