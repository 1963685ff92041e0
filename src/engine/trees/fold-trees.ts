import { throwIfAborted } from '../../base/abort.ts';

/** A folder of a tree: what is below it must be known before the tree can be judged. */
export interface FolderBelow {
  readonly subtree?: Uint8Array | undefined;
}

/** A tree that waits for what is below it. */
export interface OpenTree<Below extends FolderBelow> {
  readonly below: readonly Below[];
}

/** Judges trees one by one, each after those below it, and remembers what it found. */
export interface TreeFolder<Below extends FolderBelow, Open extends OpenTree<Below>> {
  /** Whether a tree was judged, or is being judged: a tree within itself needs a broken hash. */
  isKnown(tree: Uint8Array): boolean;
  /**
   * Begins to judge a tree.
   * @param place where it was met first; absent for the root
   * @returns undefined if nothing below it matters
   */
  open(
    tree: Uint8Array,
    place: { readonly above: Open; readonly folder: Below } | undefined,
  ): Promise<Open | undefined>;
  /** Judges a tree below which all is known. */
  close(tree: Open): Promise<void> | void;
}

/** Folds a tree with all below it from its leaves up, without recursion: folders can be nested deeper than calls. */
export async function foldTrees<Below extends FolderBelow, Open extends OpenTree<Below>>(
  root: Uint8Array,
  folder: TreeFolder<Below, Open>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const stack: { readonly open: Open; next: number }[] = [];
  const begin = async (tree: Uint8Array, above?: Open, below?: Below): Promise<void> => {
    if (folder.isKnown(tree)) return;
    throwIfAborted(signal);
    const open = await folder.open(tree, above && below && { above, folder: below });
    if (open) stack.push({ open, next: 0 });
  };
  await begin(root);
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const below = top.open.below[top.next++];
    if (below?.subtree) await begin(below.subtree, top.open, below);
    else if (!below) {
      stack.pop();
      await folder.close(top.open);
    }
  }
}
