import type { SortedNames } from '../../platform/directory.ts';

/** The names that a directory of the target had before, and which of them the snapshot has too. */
export class NameSet {
  readonly #names: SortedNames;
  /** One bit a name. */
  readonly #marks: Uint8Array;

  constructor(names: SortedNames) {
    this.#names = names;
    this.#marks = new Uint8Array(Math.ceil(names.length / 8));
  }

  /** Marks a name of the snapshot. @returns false if it is not among the names */
  mark(name: Uint8Array): boolean {
    const index = this.#names.find(name);
    if (index < 0) return false;
    this.#marks[index >> 3] = (this.#marks[index >> 3] ?? 0) | (1 << (index & 7));
    return true;
  }

  /** All names. */
  *all(): Generator<Uint8Array, void, void> {
    for (let i = 0; i < this.#names.length; i++) yield this.#names.at(i);
  }

  /** True if a name that was not marked is one that `isWanted`. */
  hasUnmarked(isWanted: (name: Uint8Array) => boolean): boolean {
    for (const name of this.unmarked()) if (isWanted(name)) return true;
    return false;
  }

  /** The names that were not marked. */
  *unmarked(): Generator<Uint8Array, void, void> {
    for (let i = 0; i < this.#names.length; i++) {
      if (((this.#marks[i >> 3] ?? 0) & (1 << (i & 7))) === 0) yield this.#names.at(i);
    }
  }
}

/** Temporary names of a directory whose files this run goes on with. */
export class KeptNames {
  readonly #names = new Set<string>();

  add(name: Uint8Array): void {
    this.#names.add(nameKey(name));
  }

  has(name: Uint8Array): boolean {
    return this.#names.size > 0 && this.#names.has(nameKey(name));
  }
}

/** A name as a key: one character a byte. */
export function nameKey(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('latin1');
}
