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

/** A file that waits for its further names. */
interface AwaitedFile {
  readonly file: PlannedFile;
  missingCount: number;
}

interface FurtherName extends TargetEntry {
  readonly first: FirstName;
}

/** Keeps track of entries with several names, so that all their names lead to one again. */
export class HardLinks {
  readonly #firstNames = new Map<string, FirstName>();
  readonly #furtherNames: FurtherName[] = [];
  /** Existing files of several names that may stay if all of these are found, by inode. */
  readonly #awaited = new Map<string, AwaitedFile>();

  /** Further names, in the order in which they came. */
  get furtherNames(): readonly FurtherName[] {
    return this.#furtherNames;
  }

  /** Remembers the first name of an entry. */
  addFirst(entry: TargetEntry, node: TreeNode, file?: PlannedFile): void {
    const key = keyOf(node);
    if (key !== undefined) this.#firstNames.set(key, { ...entry, node, ...(file ? { file } : {}) });
  }

  /**
   * Plans a further name if the entry has a first one already.
   * @returns false if it has none; a file of several names whose last one in the target this is
   */
  addFurther(
    entry: TargetEntry,
    node: TreeNode,
    existing: FileStatus | undefined,
  ): boolean | PlannedFile {
    const key = keyOf(node);
    const first = key === undefined ? undefined : this.#firstNames.get(key);
    // Inode numbers are used again while a backup runs: one number does not prove one file.
    if (!first || !isSameContent(first.node, node)) return false;
    this.#furtherNames.push({ ...entry, first });
    return (existing && this.#count(first.file, existing)) ?? true;
  }

  /**
   * Keeps the first name of an existing file of several names until all of them are found: what is done to it shows
   * under each, and one may lie outside the target, or be left alone.
   * @returns false if it cannot stay anyway: the snapshot has fewer names of it, or has it for another file already
   */
  await(file: PlannedFile, existing: FileStatus): boolean {
    const key = inodeKey(existing);
    if (existing.links > file.node.links || this.#awaited.has(key)) return false;
    this.#awaited.set(key, { file, missingCount: existing.links - 1 });
    return true;
  }

  /** Files of which not all names were found: they must not stay. */
  takeIncomplete(): PlannedFile[] {
    const incomplete = [...this.#awaited.values()].filter(({ missingCount }) => missingCount > 0);
    this.#awaited.clear();
    return incomplete.map(({ file }) => file);
  }

  /** @returns the file if this was the last name missing */
  #count(file: PlannedFile | undefined, existing: FileStatus): PlannedFile | undefined {
    const awaited = this.#awaited.get(inodeKey(existing));
    if (!awaited || awaited.file !== file) return undefined;
    awaited.missingCount--;
    return awaited.missingCount === 0 ? file : undefined;
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

function inodeKey({ device, inode }: FileStatus): string {
  return `${device}:${inode}`;
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
