import { HoldfastError } from '../../base/errors.ts';
import type { FileStatus } from '../../platform/status.ts';
import { type NameSet, nameKey } from './name-set.ts';

/** What is to be known of one directory of the target. */
export interface DirectoryView {
  /** The names that were in it before anything was restored into it. */
  readonly present: NameSet;
  /** Device of the directory itself. */
  readonly device: () => number | bigint;
  /** What a name leads to now. */
  readonly status: (name: Uint8Array) => FileStatus | undefined;
  /** True if this very name is listed now. */
  readonly isListedNow: (name: Uint8Array) => boolean;
  /** All names that the snapshot has in it. */
  readonly wanted: () => Iterable<Uint8Array>;
}

/**
 * Finds out, before anything is overwritten, when two names of the snapshot are one name in the target: its file system
 * may take no notice of upper and lower case, or of ways to write an accent.
 *
 * There a name that was not listed leads to something all the same. That is good if nobody else wants what it leads to;
 * what has the other name then counts as taken, and must not be removed for not being in the snapshot.
 */
export class TakenNames {
  readonly #view: DirectoryView;
  /** Inodes that a listed name leads to: of directories, and of what has one name only. */
  readonly #inodes = new Set<number | bigint>();
  /** Listed names that another name of the snapshot led to. */
  readonly #led = new Set<string>();
  #owners: Map<string, Uint8Array[]> | undefined;
  #wanted: Set<string> | undefined;

  constructor(view: DirectoryView) {
    this.#view = view;
  }

  /**
   * Takes a name for an entry of the snapshot.
   * @param found what it leads to, and whether it was listed before anything was restored
   * @throws TARGET_FAILED if another entry has it already, or is to have it
   */
  take(
    name: Uint8Array,
    { status, wasListed }: { readonly status: FileStatus; readonly wasListed: boolean },
  ): void {
    const isFree = wasListed ? this.#takeListed(name, status) : this.#takeOther(name, status);
    if (isFree) return;
    throw new HoldfastError('TARGET_FAILED', {
      message: 'another entry of this folder has the same name in the target',
      hint: 'Its file system takes names for equal that are not: restore to another one.',
    });
  }

  #takeListed(name: Uint8Array, status: FileStatus): boolean {
    if (this.#led.size > 0 && this.#led.has(nameKey(name))) return false;
    // Several names may well lead to one file.
    if (status.kind !== 'directory' && status.links > 1) return true;
    if (status.device !== this.#view.device()) return true;
    if (this.#inodes.has(status.inode)) return false;
    this.#inodes.add(status.inode);
    return true;
  }

  #takeOther(name: Uint8Array, status: FileStatus): boolean {
    const { isListedNow, present } = this.#view;
    // Somebody else made it meanwhile.
    if (isListedNow(name)) return true;
    // One that this run made has no owner here.
    const owners = this.#ownersOf(status);
    const isWanted = (owner: Uint8Array): boolean =>
      this.#wantedNames().has(nameKey(owner)) || this.#led.has(nameKey(owner));
    if (owners.length === 0 || owners.some(isWanted)) return false;
    for (const owner of owners) {
      this.#led.add(nameKey(owner));
      present.mark(owner);
    }
    return true;
  }

  /** The listed names that lead to the same. */
  #ownersOf(status: FileStatus): readonly Uint8Array[] {
    this.#owners ??= this.#findOwners();
    return this.#owners.get(inodeKey(status)) ?? [];
  }

  #findOwners(): Map<string, Uint8Array[]> {
    const owners = new Map<string, Uint8Array[]>();
    for (const name of this.#view.present.all()) {
      const status = this.#view.status(name);
      if (!status) continue;
      const key = inodeKey(status);
      const others = owners.get(key);
      if (others) others.push(name);
      else owners.set(key, [name]);
    }
    return owners;
  }

  #wantedNames(): ReadonlySet<string> {
    this.#wanted ??= new Set([...this.#view.wanted()].map(nameKey));
    return this.#wanted;
  }
}

function inodeKey({ device, inode }: FileStatus): string {
  return `${device}:${inode}`;
}
