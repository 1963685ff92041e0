import { concatBytes, equalBytes, utf8 } from '../../base/bytes.ts';
import { openDirectory, openDirectoryAt } from '../../platform/directory.ts';
import { closeFile } from '../../platform/files.ts';

const slash = utf8('/');

/** A directory below the target: the way to it, name by name. */
export class TargetDirectory {
  readonly parent: TargetDirectory | undefined;
  readonly name: Uint8Array;
  readonly depth: number;
  /** It was there before: new files may inherit attributes from it. */
  readonly existed: boolean;

  constructor(options: {
    readonly parent?: TargetDirectory;
    readonly name?: Uint8Array;
    readonly existed: boolean;
  }) {
    const { parent } = options;
    this.parent = parent;
    this.name = options.name ?? new Uint8Array(0);
    this.existed = options.existed;
    this.depth = parent ? parent.depth + 1 : 0;
  }

  /** Path below the target for messages and filters: starts with `/`, no slash at the end. */
  pathOf(name?: Uint8Array): Uint8Array {
    const names = name ? [...this.chain(), name] : this.chain();
    return names.length === 0 ? slash : concatBytes(names.flatMap((part) => [slash, part]));
  }

  /** Names from the target to this directory. */
  chain(): Uint8Array[] {
    const names: Uint8Array[] = this.parent ? [this.name] : [];
    for (let at = this.parent; at?.parent; at = at.parent) names.push(at.name);
    return names.toReversed();
  }
}

/**
 * Opens directories below the target, each relative to the one above and never through a link, so
 * that nothing is written elsewhere even if somebody swaps directories for links meanwhile.
 *
 * Keeps the way to the last directory open: walking a tree in order opens each directory once.
 */
export class DirectoryOpener {
  readonly #fds: number[];
  #names: Uint8Array[] = [];

  readonly #root: Uint8Array;

  /** @param root path of the target, which may lead through links: the user named it */
  constructor(root: Uint8Array) {
    this.#root = root;
    this.#fds = [openDirectory(root, { noFollow: false })];
  }

  /**
   * A descriptor of the directory, which stays the opener's: use it before the next call.
   * @throws what opening throws: it is missing, or no directory any more
   */
  open(directory: TargetDirectory): number {
    const names = directory.chain();
    let shared = 0;
    while (shared < names.length && shared < this.#names.length) {
      const [a, b] = [names[shared], this.#names[shared]];
      if (!a || !b || !equalBytes(a, b)) break;
      shared++;
    }
    while (this.#fds.length > shared + 1) closeFile(this.#fds.pop() ?? -1);
    this.#names = this.#names.slice(0, this.#fds.length - 1);
    for (let i = this.#fds.length - 1; i < names.length; i++) {
      const name = names[i];
      const above = this.#fds.at(-1);
      if (!name || above === undefined) break;
      this.#push(openDirectoryAt(above, name), name);
    }
    return this.#fds.at(-1) ?? -1;
  }

  /** A descriptor of the directory that the caller closes. */
  openOwn(directory: TargetDirectory): number {
    const { parent, name } = directory;
    if (!parent) return openDirectory(this.#root, { noFollow: false });
    return openDirectoryAt(this.open(parent), name);
  }

  close(): void {
    for (const fd of this.#fds.splice(0)) closeFile(fd);
    this.#names = [];
  }

  #push(fd: number, name: Uint8Array): void {
    this.#fds.push(fd);
    this.#names.push(name);
  }
}
