import type { FileStatus } from '../../platform/status.ts';
import type { RuleState } from './exclude-rules.ts';

/** Longer paths are put together anew each time: a tree 3,000 levels deep would hold 50 MB of them. */
const keptPathSizeBytesMax = 4096;
const slash = 0x2f;

/** What the entries of one directory share. */
export interface ScopeFacts {
  /** What the exclude patterns know about the directory. */
  readonly state: RuleState;
  /** Of the directory itself; undefined above the targets. */
  readonly device: FileStatus['device'] | undefined;
  /** Device of the nearest target at or above the directory; undefined above the targets. */
  readonly targetDevice: FileStatus['device'] | undefined;
}

/** A directory on the way from the root to an entry: what is the same for all its entries. */
export class DirectoryScope {
  readonly facts: ScopeFacts;
  readonly #parent: DirectoryScope | undefined;
  readonly #name: Uint8Array;
  #path: Uint8Array | undefined;

  private constructor(parent: DirectoryScope | undefined, name: Uint8Array, facts: ScopeFacts) {
    this.#parent = parent;
    this.#name = name;
    this.facts = facts;
    if (parent === undefined) this.#path = name;
  }

  /** The scope of `/`. */
  static root(facts: ScopeFacts): DirectoryScope {
    return new DirectoryScope(undefined, new Uint8Array(0), facts);
  }

  /** The scope of the directory `name` in this one. */
  below(name: Uint8Array, facts: ScopeFacts): DirectoryScope {
    return new DirectoryScope(this, name, facts);
  }

  /** The directory's absolute path. */
  get path(): Uint8Array {
    const path = this.#prefix();
    return path.length === 0 ? Uint8Array.of(slash) : path;
  }

  /** Absolute path of an entry. */
  pathOf(name: Uint8Array): Uint8Array {
    const prefix = this.#prefix();
    const path = new Uint8Array(prefix.length + 1 + name.length);
    path.set(prefix);
    path[prefix.length] = slash;
    path.set(name, prefix.length + 1);
    return path;
  }

  /** The path without a slash at the end: empty for `/`. A loop, because trees may be thousands of levels deep. */
  #prefix(): Uint8Array {
    if (this.#path) return this.#path;
    const names = [this.#name];
    let sizeBytes = this.#name.length + 1;
    let above = this.#parent;
    while (above && above.#path === undefined) {
      names.push(above.#name);
      sizeBytes += above.#name.length + 1;
      above = above.#parent;
    }
    const base = (above && above.#path) ?? new Uint8Array(0);
    const path = new Uint8Array(base.length + sizeBytes);
    path.set(base);
    let at = base.length;
    for (const name of names.toReversed()) {
      path[at] = slash;
      path.set(name, at + 1);
      at += name.length + 1;
    }
    if (path.length <= keptPathSizeBytesMax) this.#path = path;
    return path;
  }
}
