import { concatBytes, utf8 } from '../../base/bytes.ts';
import { defined } from '../../base/assert.ts';
import { openDirectory, openDirectoryAt } from '../../platform/directory.ts';
import { closeFile } from '../../platform/files.ts';
import type { TreeNode } from '../../repository/tree.ts';

const slash = utf8('/');
/** Directories on the way to the last one that stay open: deeper trees are entered again from the target. */
const levelsOpenMax = 64;

/** Deeper directories do not remember their paths: all together these are as long as the depth squared. */
const depthRememberedMax = 64;

/** How a directory came to be in the target. */
export type DirectoryState =
  /** It was there before: what is in it is looked at, and new entries may inherit attributes from it. */
  | 'existed'
  /** Made by this run: what it holds is of this run too. */
  | 'made'
  /** Not there yet; it is made when something is put into it. */
  | 'planned'
  /** Not there; only this run, which is dry, goes on as if it were. */
  | 'pretended';

/** A directory below the target: the way to it, name by name. */
export class TargetDirectory {
  readonly parent: TargetDirectory | undefined;
  readonly name: Uint8Array;
  readonly depth: number;
  /** As the snapshot has it; undefined for the target itself and for what the snapshot does not have. */
  readonly node: TreeNode | undefined;
  state: DirectoryState;
  /** The directory where what this one lies in is mounted, maybe itself; known only where things are removed. */
  mount: TargetDirectory | undefined;
  /** Tells temporary names apart from names of the snapshot in this directory. */
  temporarySalt = 0;
  #path: Uint8Array | undefined;

  constructor(options: {
    readonly parent?: TargetDirectory;
    readonly name?: Uint8Array;
    readonly node?: TreeNode;
    readonly state: DirectoryState;
  }) {
    const { parent, node } = options;
    this.parent = parent;
    this.node = node;
    this.name = options.name ?? node?.name ?? new Uint8Array(0);
    this.state = options.state;
    this.depth = parent ? parent.depth + 1 : 0;
  }

  get existed(): boolean {
    return this.state === 'existed';
  }

  /** It can be opened now. */
  get isThere(): boolean {
    return this.state === 'existed' || this.state === 'made';
  }

  /** Path below the target for messages and filters: starts with `/`, no slash at the end. */
  pathOf(name?: Uint8Array): Uint8Array {
    const path = this.#ownPath();
    if (name) return concatBytes([path, slash, name]);
    return path.byteLength === 0 ? slash : path;
  }

  #ownPath(): Uint8Array {
    if (this.#path) return this.#path;
    const path = concatBytes(this.#chain().flatMap((part) => [slash, part]));
    if (this.depth <= depthRememberedMax) this.#path = path;
    return path;
  }

  /** Names from the target to this directory. */
  #chain(): Uint8Array[] {
    const names: Uint8Array[] = this.parent ? [this.name] : [];
    for (let at = this.parent; at?.parent; at = at.parent) names.push(at.name);
    return names.toReversed();
  }
}

interface OpenLevel {
  readonly directory: TargetDirectory;
  readonly fd: number;
}

/**
 * Opens directories below the target, each relative to the one above and never through a link, so
 * that nothing is written elsewhere even if somebody swaps directories for links meanwhile.
 *
 * Keeps the last levels of the way to the last directory open: walking a tree in order opens each
 * directory about once, and a tree of any depth takes few descriptors.
 */
export class DirectoryOpener {
  /** Of the target itself: the same directory all the time, whatever becomes of its path. */
  readonly root: number;
  /** Consecutive levels; the target is not among them. */
  readonly #levels: OpenLevel[] = [];

  /**
   * @param path of the target, which may lead through links: the user named it; undefined if there is
   * none, for a dry run: then nothing can be opened
   */
  constructor(path: Uint8Array | undefined) {
    this.root = path ? openDirectory(path, { noFollow: false }) : -1;
  }

  /**
   * A descriptor of the directory, which stays the opener's: use it before the next call.
   * @throws what opening throws: it is missing, or no directory any more
   */
  open(directory: TargetDirectory): number {
    const below: TargetDirectory[] = [];
    let at = directory;
    while (at.parent && !this.#isOpen(at)) {
      below.push(at);
      at = at.parent;
    }
    this.#leave(at.depth);
    for (let next = below.pop(); next; next = below.pop()) {
      const above = this.#levels.at(-1)?.fd ?? this.root;
      this.#levels.push({ directory: next, fd: openDirectoryAt(above, next.name) });
      if (this.#levels.length > levelsOpenMax) this.#closeFirst();
    }
    return this.#levels.at(-1)?.fd ?? this.root;
  }

  /** A descriptor of the directory for `release`. */
  openOwn(directory: TargetDirectory): number {
    const { parent, name } = directory;
    return parent ? openDirectoryAt(this.open(parent), name) : this.root;
  }

  /** Closes what `openOwn` gave. */
  release(fd: number): void {
    if (fd !== this.root) closeFile(fd);
  }

  close(): void {
    this.#leave(0);
    if (this.root >= 0) closeFile(this.root);
  }

  #isOpen(directory: TargetDirectory): boolean {
    const first = this.#levels[0]?.directory.depth ?? 0;
    return this.#levels[directory.depth - first]?.directory === directory;
  }

  /** Closes all levels deeper than `depth`. */
  #leave(depth: number): void {
    for (let last = this.#levels.at(-1); last; last = this.#levels.at(-1)) {
      if (last.directory.depth <= depth) return;
      this.#levels.pop();
      closeFile(last.fd);
    }
  }

  #closeFirst(): void {
    closeFile(defined(this.#levels.shift(), 'a level is open').fd);
  }
}
