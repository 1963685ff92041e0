import { toHex } from '../base/bytes.ts';
import { compareTimestamps, type Timestamp } from '../base/timestamp.ts';
import type { IndexedRepository } from '../repository/indexed.ts';
import type { TreeNode } from '../repository/tree.ts';
import type { EngineContext } from './context.ts';
import { type TreeVisitor, type WalkedNode, walkTree } from './trees/walk-paths.ts';

/**
 * Decides about paths one component at a time, so that a walk never looks at the beginning of a path twice. States are
 * opaque; equal states that are the same object let whole folders be passed over in later snapshots.
 */
export interface PathMatcher<State extends object> {
  /** The state of the root. */
  readonly root: State;
  step(state: State, name: Uint8Array): State;
  isMatched(state: State): boolean;
  /** False if nothing below can match. */
  mayMatchBelow(state: State): boolean;
}

/** Which entries are searched for: all that is given must hold. */
export interface PathQuery<State extends object> {
  readonly matcher: PathMatcher<State>;
  /** Only entries modified at this time or later. */
  readonly oldest?: Timestamp | undefined;
  /** Only entries modified at this time or before. */
  readonly newest?: Timestamp | undefined;
}

/** Searches snapshots for paths, one after the other; remembers folders without a match. */
export class PathFinder<State extends object> {
  readonly #indexed: IndexedRepository;
  readonly #query: PathQuery<State>;
  /** Trees known to hold no match when they are reached in a state. */
  readonly #barren = new WeakMap<State, Set<string>>();

  constructor(indexed: IndexedRepository, query: PathQuery<State>) {
    this.#indexed = indexed;
    this.#query = query;
  }

  /**
   * Walks one snapshot.
   * @param root its tree
   * @param onMatch told of every match, in the order of the tree
   */
  async search(
    root: Uint8Array,
    onMatch: (item: WalkedNode) => void,
    context: EngineContext,
  ): Promise<void> {
    const { matcher } = this.#query;
    const open: OpenFolder<State>[] = [];
    let next: State = matcher.root;
    let matchCount = 0;
    let unreadCount = 0;
    const visitor: TreeVisitor = {
      enter: (_, tree) => {
        const id = toHex(tree);
        if (this.#barren.get(next)?.has(id)) return false;
        open.push({ id, state: next, matchCount, unreadCount });
        return true;
      },
      node: (item) => {
        const folder = open.at(-1);
        const state = matcher.step(folder?.state ?? matcher.root, item.node.name);
        if (matcher.isMatched(state) && this.#isInTime(item.node)) {
          matchCount++;
          onMatch(item);
        }
        next = state;
        return item.node.type === 'dir' && matcher.mayMatchBelow(state);
      },
      leave: (_, isRead) => {
        const folder = open.pop();
        if (!isRead) unreadCount++;
        if (folder?.matchCount !== matchCount || folder.unreadCount !== unreadCount) return;
        this.#addBarren(folder);
      },
    };
    await walkTree(this.#indexed, root, visitor, context);
  }

  #addBarren({ state, id }: OpenFolder<State>): void {
    const known = this.#barren.get(state);
    if (known) known.add(id);
    else this.#barren.set(state, new Set([id]));
  }

  #isInTime({ mtime }: TreeNode): boolean {
    const { oldest, newest } = this.#query;
    if (oldest && compareTimestamps(mtime, oldest) < 0) return false;
    return !newest || compareTimestamps(mtime, newest) <= 0;
  }
}

interface OpenFolder<State> {
  readonly id: string;
  readonly state: State;
  /** Matches found before it was entered. */
  readonly matchCount: number;
  /** Folders that could not be read before it was entered. */
  readonly unreadCount: number;
}
