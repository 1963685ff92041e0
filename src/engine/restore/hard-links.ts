import { equalBytes } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { linkAt } from '../../platform/files.ts';
import { type FileStatus, tryReadStatus } from '../../platform/status.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { RestoreParts } from './parts.ts';
import type { PlannedFile, TargetEntry } from './plan.ts';

/** The first name of something with several names. */
interface FirstName extends TargetEntry {
  readonly node: TreeNode;
  /** Set for files: they get their content later, or fail. */
  readonly file?: PlannedFile;
}

interface FurtherName extends TargetEntry {
  readonly first: FirstName;
}

/** Keeps track of entries with several names, so that all their names lead to one again. */
export class HardLinks {
  readonly #firstNames = new Map<string, FirstName>();
  readonly #furtherNames: FurtherName[] = [];
  /** Existing files that one of the snapshot's has taken over, by inode. */
  readonly #taken = new Set<string>();

  /** Further names, in the order in which they came. */
  get furtherNames(): readonly FurtherName[] {
    return this.#furtherNames;
  }

  /** Remembers the first name of an entry. */
  addFirst(entry: TargetEntry, node: TreeNode, file?: PlannedFile): void {
    const key = keyOf(node);
    if (key !== undefined) this.#firstNames.set(key, { ...entry, node, ...(file ? { file } : {}) });
  }

  /** Plans a further name if the entry has a first one already. @returns false if it has none */
  addFurther(entry: TargetEntry, node: TreeNode): boolean {
    const key = keyOf(node);
    const first = key === undefined ? undefined : this.#firstNames.get(key);
    // Inode numbers are used again while a backup runs: one number does not prove one file.
    if (!first || !isSameContent(first.node, node)) return false;
    this.#furtherNames.push({ ...entry, first });
    return true;
  }

  /**
   * Whether an existing entry may stay as what `node` is, so that its metadata is set: not if it has
   * names that are not those of the snapshot.
   */
  mayStay(existing: FileStatus, node: TreeNode): boolean {
    if (existing.links === 1) return true;
    if (existing.links > node.links) return false;
    const key = `${existing.device}:${existing.inode}`;
    if (this.#taken.has(key)) return false;
    this.#taken.add(key);
    return true;
  }

  /**
   * Gives an entry a further name.
   * @param makeRoom removes what has the name
   * @throws TARGET_FAILED if the first name is not right; what linking throws
   */
  make(
    { directory, name, first }: FurtherName,
    { opener }: Pick<RestoreParts, 'opener'>,
    makeRoom: () => void,
  ): void {
    const from = opener.openOwn(first.directory);
    try {
      const source = tryReadStatus({ directory: from, name: first.name });
      const to = opener.open(directory);
      const existing = tryReadStatus({ directory: to, name });
      if (!source) throw firstMissing();
      const isRight = existing?.inode === source.inode && existing.device === source.device;
      if (isRight) return;
      if (existing) makeRoom();
      linkAt({ directory: from, name: first.name }, { directory: opener.open(directory), name });
    } finally {
      opener.release(from);
    }
  }
}

/** The error for a further name whose first one could not be restored. */
export function firstMissing(): HoldfastError {
  return new HoldfastError('TARGET_FAILED', {
    message: 'the file that it is a further name of could not be restored',
  });
}

/** What tells that two names may be of one file; undefined if nothing does. */
function keyOf(node: TreeNode): string | undefined {
  const isNumbered = node.links > 1 && BigInt(node.inode) !== 0n;
  return isNumbered ? `${node.deviceId}:${node.inode}` : undefined;
}

function isSameContent(a: TreeNode, b: TreeNode): boolean {
  return (
    a.type === b.type &&
    BigInt(a.device) === BigInt(b.device) &&
    equalOptional(a.content, b.content) &&
    equalOptional(a.linkTarget, b.linkTarget)
  );
}

function equalOptional(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}
