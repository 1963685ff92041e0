import { assert } from '../../base/assert.ts';
import { compareBytes } from '../../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { readExtendedAttributes } from '../../platform/attributes.ts';
import { openDirectory } from '../../platform/directory.ts';
import { closeFile, readLink } from '../../platform/files.ts';
import { scanNearPacked } from '../../platform/scan-near.ts';
import { type FileStatus, readStatusOf, tryReadStatus } from '../../platform/status.ts';
import { posixCode } from '../../platform/system-error.ts';
import { replacedError } from '../open-file.ts';
import type { ListedRequest } from '../open-listed.ts';
import type {
  ExtendedAttribute,
  FarFile,
  Source,
  SourceEntry,
  SourceListing,
  SourceProblem,
} from '../source.ts';
import { type ByteText, bytesOf, byteTextOf } from './byte-text.ts';
import { componentsOf } from './clean-path.ts';
import {
  type DirectoryPart,
  DirectoryReader,
  emptyDraft,
  type ListingDraft,
  type ReadOptions,
  silentMountError,
} from './directory-reader.ts';
import { DirectoriesAhead, scanOf } from './directories-ahead.ts';
import { DirectoryScope, type ScopeFacts } from './directory-scope.ts';
import type { ExcludeRules } from './exclude-rules.ts';
import { type FarScan, scanFar } from './far-scan.ts';
import type { FarSystems } from './far-systems.ts';
import { type EntryFacts, FileEntry } from './file-entry.ts';
import { type FolderGuard, isSameFolder } from './folder-guard.ts';
import type { MountWatch } from './mount-watch.ts';
import { PackedListing } from './packed-listing.ts';
import type { TargetNode } from './target-tree.ts';

/** What `openFileSource` has prepared. */
export interface FileSourceParts {
  readonly paths: readonly string[];
  readonly excludes: readonly string[];
  /** The merged targets by name in the snapshot's root. */
  readonly top: ReadonlyMap<ByteText, TargetNode>;
  /** Targets that are missing or cannot be used. */
  readonly problems: readonly SourceProblem[];
  readonly rules: ExcludeRules;
  readonly folders: FolderGuard;
  readonly mounts: MountWatch;
  /** Reads what lies on file systems that may stop answering. */
  readonly far: FarSystems;
  readonly onNote: (text: string) => void;
}

/** A place in the tree of targets, with its name in the directory above. */
type NamedNode = readonly [name: ByteText, node: TargetNode];

/** A part of a directory. */
interface PartToList {
  readonly scope: DirectoryScope;
  /** Targets in the directory that are not listed yet. */
  readonly children: readonly NamedNode[];
  read(): DirectoryPart | PackedListing;
}

/** A place for one entry of the tree of targets. */
interface NodePlace {
  readonly name: ByteText;
  readonly node: TargetNode;
  readonly scope: DirectoryScope;
}

/** Entries of `.` or `/` that were named by that only: members by name on disk. */
interface SpreadGroup {
  readonly directory: ByteText;
  readonly device: FileStatus['device'] | undefined;
  readonly members: Map<ByteText, { readonly name: ByteText; readonly node: TargetNode }>;
}

/**
 * Files and directories of this machine. Made by `openFileSource`.
 *
 * Directories are opened by path without following a link, then compared with the status they were listed with, so a
 * directory that was swapped for another is noticed before anything of it is read.
 */
export class FileSource implements Source {
  readonly kind = 'tree';
  readonly paths: readonly string[];
  readonly excludes: readonly string[];
  readonly #parts: FileSourceParts;
  readonly #reader: DirectoryReader;
  /** The far directory that `probe` has read for `list`, or why it could not. */
  #probed: { readonly entry: FileEntry; readonly result: FarScan | HoldfastError } | undefined;

  readonly #ahead: DirectoriesAhead;

  constructor(parts: FileSourceParts) {
    this.paths = parts.paths;
    this.excludes = parts.excludes;
    this.#parts = parts;
    this.#reader = new DirectoryReader(parts);
    this.#ahead = new DirectoriesAhead((entry) => this.#admitsBelow(entry));
  }

  root(): SourceListing {
    const draft = emptyDraft();
    draft.problems.push(...this.#parts.problems);
    const groups = new Map<ByteText, SpreadGroup>();
    for (const [name, node] of this.#parts.top) {
      const directory = parentOf(node.path);
      if (isSpread(node)) addToGroup(groups, { directory, name, node });
      else this.#addNode(draft, { name, node, scope: this.#scopeAt(directory) });
    }
    for (const group of groups.values()) this.#addGroup(draft, group);
    return finish(draft);
  }

  list(entry: SourceEntry): SourceListing {
    assert(entry instanceof FileEntry, 'the entry comes from this source');
    assert(entry.status.kind === 'directory', 'only directories are listed');
    // A mount point is kept, empty.
    if (this.#isOutside(entry)) return finish(emptyDraft());
    const scope = this.#scopeOf(entry);
    const node = entry.node;
    if (node && node.target === undefined) return this.#listImplied(node, scope);
    return this.#listReal(entry, scope);
  }

  probe(entry: SourceEntry): Promise<void> | undefined {
    assert(entry instanceof FileEntry, 'the entry comes from this source');
    const { mounts } = this.#parts;
    const above = entry.scope.facts.device;
    const { device } = entry.status;
    const isCrossing = (above !== undefined && above !== device) || mounts.isAutomount(device);
    const isFar = mounts.isFar(device);
    if (!isCrossing && !isFar && !mounts.hasAny) return this.#ahead.waitFor(entry);
    const { path } = entry;
    const answer = isCrossing ? mounts.askAt(path, device) : undefined;
    const asked = answer ? answer.then(() => mounts.askBelow(path)) : mounts.askBelow(path);
    return isFar ? Promise.resolve(asked).then(() => this.#probeFar(entry)) : asked;
  }

  ahead(entries: readonly SourceEntry[]): void {
    const { mounts, rules } = this.#parts;
    // What else must be asked or looked at first is read when it is listed.
    if (mounts.hasAny || rules.tagStarts.length > 0) return;
    this.#ahead.ask(
      entries.filter((entry): entry is FileEntry => {
        if (!(entry instanceof FileEntry) || entry.node) return false;
        const { device } = entry.status;
        return (
          entry.scope.facts.device === device &&
          !mounts.isAutomount(device) &&
          !mounts.isFar(device)
        );
      }),
    );
  }

  isReadAhead(entry: SourceEntry): boolean {
    return entry instanceof FileEntry && this.#ahead.isRead(entry);
  }

  #admitsBelow(entry: FileEntry): (name: Uint8Array) => boolean {
    const { rules } = this.#parts;
    const state = rules.descend(entry.scope.facts.state, entry.name);
    return (name) => !rules.excludesName(state, name);
  }

  isFar(entry: SourceEntry): boolean {
    return this.#parts.mounts.isFar(entry.status.device);
  }

  openFar(request: ListedRequest, sizeBytes: number): Promise<FarFile> {
    return this.#parts.far.open(request, sizeBytes);
  }

  close(reason?: HoldfastError): void {
    this.#ahead.close();
    this.#parts.far.close(reason);
  }

  /** Reads a far directory, which `list` then takes. Never rejects. */
  async #probeFar(entry: FileEntry): Promise<void> {
    const { mounts, far, rules } = this.#parts;
    const { path, node } = entry;
    const isUnlisted = node !== undefined && node.target === undefined;
    if (isUnlisted || mounts.isSilent(path) || this.#isOutside(entry)) return;
    const names = mounts.silentNamesIn(path) ?? new Set();
    try {
      const result = await scanFar(far, {
        path,
        noFollow: !isAboveTargets(entry),
        device: entry.status.device,
        silent: { names, error: silentMountError() },
        tags: rules.tagStarts,
      });
      this.#probed = { entry, result };
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      this.#probed = { entry, result: error };
    }
  }

  /** True for a directory that is kept, empty: it is on another file system, and that is not wanted. */
  #isOutside(entry: FileEntry): boolean {
    const targetDevice = targetDeviceOf(entry);
    const isOutside = targetDevice !== undefined && entry.status.device !== targetDevice;
    return isOutside && this.#parts.rules.isOneFileSystem;
  }

  #listImplied(node: TargetNode, scope: DirectoryScope): SourceListing {
    const draft = emptyDraft();
    for (const [name, child] of node.children) this.#addNode(draft, { name, node: child, scope });
    return finish(draft);
  }

  #listReal(entry: FileEntry, scope: DirectoryScope): SourceListing {
    const { path, node } = entry;
    const { mounts } = this.#parts;
    if (mounts.isSilent(path)) return failed(path, silentMountError());
    const children = node?.children;
    const hasChildren = children !== undefined && children.size > 0;
    const isElsewhere = hasChildren ? (name: ByteText): boolean => children.has(name) : undefined;
    const silent = mounts.silentNamesIn(path);
    const options = { silent, isElsewhere };
    return this.#listPart(entry, {
      scope,
      children: hasChildren ? [...children] : [],
      read: () =>
        this.#takeProbed(entry, scope, options) ??
        this.#inside(
          entry,
          (directory) =>
            this.#readPacked(directory, { entry, scope, options }) ??
            this.#reader.read(directory, scope, options),
        ),
    });
  }

  /** Lists a directory, or what comes next of a large one: it is opened anew for each part. */
  #listPart(entry: FileEntry, part: PartToList): SourceListing {
    const { scope, children } = part;
    try {
      const read = part.read();
      if (read instanceof PackedListing) return read;
      const { rest, ...draft } = read;
      if (!rest && children.length === 0) return { ...draft, complete: true };
      const isDue = ([name]: NamedNode): boolean =>
        !rest || compareBytes(bytesOf(name), rest.from) < 0;
      for (const [name, node] of children.filter(isDue)) {
        this.#addNode(draft, { name, node, scope });
      }
      const listing = finish(draft);
      if (!rest) return listing;
      const left = children.filter((child) => !isDue(child));
      const readRest = (): DirectoryPart => this.#inside(entry, (again) => rest.read(again));
      const next = { scope, children: left, read: readRest };
      return { ...listing, rest: () => this.#listPart(entry, next) };
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      return failed(entry.path, error);
    }
  }

  /** What `read` makes of the directory, opened for it. */
  #inside<T>(entry: FileEntry, read: (directory: number) => T): T {
    const directory = this.#open(entry, entry.path);
    try {
      return read(directory);
    } finally {
      closeFile(directory);
    }
  }

  /** As the thread that reads ahead, for whom it has not come to; undefined if the directory is to be read otherwise. */
  #readPacked(
    directory: number,
    about: {
      readonly entry: FileEntry;
      readonly scope: DirectoryScope;
      readonly options: ReadOptions;
    },
  ): ListingDraft | PackedListing | undefined {
    const { entry, scope, options } = about;
    const { mounts, rules } = this.#parts;
    if (options.isElsewhere || mounts.hasAny || !rules.isByNameOnly) return undefined;
    const packed = scanNearPacked(directory, entry.status);
    if (!packed) return undefined;
    return this.#reader.takePacked(packed, scope) ?? this.#reader.take(scanOf(packed), scope, {});
  }

  /** What `probe` has read of the directory; undefined if it is not far. @throws what reading it threw */
  #takeProbed(
    entry: FileEntry,
    scope: DirectoryScope,
    options: ReadOptions,
  ): ListingDraft | PackedListing | undefined {
    const probed = this.#probed;
    if (probed?.entry !== entry) {
      // A far directory is never read by this thread, whoever forgot to probe.
      assert(!this.isFar(entry), 'a far directory is probed before it is listed');
      const scan = this.#ahead.take(entry);
      if (!scan) return undefined;
      this.#assertSame(entry, scan.status);
      const packed = options.isElsewhere ? undefined : this.#reader.takePacked(scan.packed, scope);
      return packed ?? this.#reader.take(scan, scope, options);
    }
    this.#probed = undefined;
    const { result } = probed;
    if (result instanceof HoldfastError) throw translateLink(entry.path, result);
    this.#assertSame(entry, result.status);
    return this.#reader.take(result, scope, options);
  }

  /** Opens a directory and makes sure that it is the one that was listed. */
  #open(entry: FileEntry, path: Uint8Array): number {
    const directory = openUnlessLink(path, !isAboveTargets(entry));
    try {
      this.#assertSame(entry, readStatusOf(directory));
      return directory;
    } catch (error) {
      closeFile(directory);
      throw error;
    }
  }

  /** @throws SOURCE_FAILED if what was opened is not what was listed */
  #assertSame({ path, status }: FileEntry, opened: FileStatus): void {
    // An automount point is mounted by the first access, and is another directory from then on.
    const isMounted = opened.device !== status.device && this.#parts.mounts.isMountPoint(path);
    if (!isSameFolder(opened, status) && !isMounted) throw replacedError(path);
  }

  /** Adds a target, or a directory above one. */
  #addNode(draft: ListingDraft, { name, node, scope }: NodePlace): void {
    const path = bytesOf(node.path);
    const isAbove = node.children.size > 0;
    try {
      const status = tryReadStatus(path, { follow: isAbove });
      if (status === undefined) draft.vanished.push(path);
      else if (isAbove && status.kind !== 'directory') throw replacedError(path);
      else if (this.#reader.admitsKind(status, path, draft.problems)) {
        const facts = readFacts(path, { status, node, problems: draft.problems });
        draft.entries.push(new FileEntry(bytesOf(name), facts, { scope, node }));
      }
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      if (error.code === 'FILE_NOT_FOUND') draft.vanished.push(path);
      else draft.problems.push({ path, error, during: 'scan' });
    }
  }

  /** Adds entries of `.` or `/`: read as any directory's, because all rules hold for them. */
  #addGroup(draft: ListingDraft, { directory, device, members }: SpreadGroup): void {
    const path = bytesOf(directory);
    const above = this.#scopeAt(parentOf(directory));
    const name = bytesOf(directory.slice(directory.lastIndexOf('/') + 1));
    const state = this.#parts.rules.descend(above.facts.state, name);
    const facts = { state, device, targetDevice: device };
    const scope = directory === '/' ? DirectoryScope.root(facts) : above.below(name, facts);
    const options = {
      silent: this.#parts.mounts.silentNamesIn(path),
      isElsewhere: (text: ByteText): boolean => !members.has(text),
    };
    try {
      const opened = openDirectory(path, { noFollow: false });
      try {
        let read: DirectoryPart | undefined = this.#reader.read(opened, scope, options);
        for (; read; read = read.rest?.read(opened)) addMembers(draft, read, { scope, members });
      } finally {
        closeFile(opened);
      }
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      draft.problems.push({ path, error, during: 'scan' });
    }
  }

  /** The scope of a directory above the targets. */
  #scopeAt(path: ByteText): DirectoryScope {
    const { rules } = this.#parts;
    const nothing = { device: undefined, targetDevice: undefined };
    let scope = DirectoryScope.root({ state: rules.root, ...nothing });
    for (const component of componentsOf(path)) {
      const name = bytesOf(component);
      scope = scope.below(name, { state: rules.descend(scope.facts.state, name), ...nothing });
    }
    return scope;
  }

  /** The scope of what is in a directory. */
  #scopeOf(entry: FileEntry): DirectoryScope {
    const { scope, status, realName } = entry;
    const state = this.#parts.rules.descend(scope.facts.state, realName);
    const facts = { state, device: status.device, targetDevice: targetDeviceOf(entry) };
    return scope.below(realName, facts);
  }
}

/** The file system of the nearest explicit target, at the entry or above it. */
function targetDeviceOf({ scope, status, node }: FileEntry): ScopeFacts['targetDevice'] {
  return node?.target?.isExplicit === true ? status.device : scope.facts.targetDevice;
}

function addMembers(
  draft: ListingDraft,
  read: ListingDraft,
  { scope, members }: Pick<SpreadGroup, 'members'> & { readonly scope: DirectoryScope },
): void {
  for (const entry of read.entries) {
    const member = members.get(byteTextOf(entry.name));
    assert(member, 'only members are read');
    draft.entries.push(new FileEntry(bytesOf(member.name), entry, { scope, node: member.node }));
  }
  for (const problem of read.problems) draft.problems.push(problem);
  for (const path of read.vanished) draft.vanished.push(path);
}

/** True for an entry of `.` or `/` that nothing else names. */
function isSpread(node: TargetNode): boolean {
  return node.children.size === 0 && node.target?.isExplicit === false;
}

function addToGroup(
  groups: Map<ByteText, SpreadGroup>,
  { directory, name, node }: { directory: ByteText; name: ByteText; node: TargetNode },
): void {
  let group = groups.get(directory);
  if (!group) {
    group = { directory, device: node.target?.device, members: new Map() };
    groups.set(directory, group);
  }
  group.members.set(byteTextOf(node.realName), { name, node });
}

function parentOf(path: ByteText): ByteText {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

/** A link in the middle of a target's path counts as the directory behind it. */
function isAboveTargets({ node }: FileEntry): boolean {
  return node !== undefined && node.children.size > 0;
}

function openUnlessLink(path: Uint8Array, noFollow: boolean): number {
  try {
    return openDirectory(path, { noFollow });
  } catch (error) {
    throw translateLink(path, error);
  }
}

/** An error of opening a directory: a link or something else in its place says that it was replaced. */
function translateLink(path: Uint8Array, error: unknown): unknown {
  const code = posixCode(error);
  return code === 'ELOOP' || code === 'ENOTDIR' ? replacedError(path, error) : error;
}

function readFacts(
  path: Uint8Array,
  about: {
    readonly status: FileStatus;
    readonly node: TargetNode;
    readonly problems: SourceProblem[];
  },
): EntryFacts {
  const { status, node, problems } = about;
  const linkTarget = status.kind === 'symlink' ? readLink(path) : undefined;
  const onProblem = (_name: Uint8Array, error: HoldfastError): void => {
    // Of a directory that only leads to a target nobody asked for more than what can be read.
    if (node.target === undefined && error.code === 'PERMISSION_DENIED') return;
    problems.push({ path, error, during: 'scan' });
  };
  let extendedAttributes: readonly ExtendedAttribute[] = [];
  try {
    const noFollow = node.children.size === 0;
    extendedAttributes = readExtendedAttributes(path, { noFollow, onProblem });
  } catch (error) {
    if (!isHoldfastError(error) || error.code === 'FILE_NOT_FOUND') throw error;
    onProblem(path, error);
  }
  return { status, linkTarget, extendedAttributes };
}

function finish(draft: ListingDraft): SourceListing {
  draft.entries.sort((a, b) => compareBytes(a.name, b.name));
  return { ...draft, complete: true };
}

function failed(path: Uint8Array, error: HoldfastError): SourceListing {
  const isGone = error.code === 'FILE_NOT_FOUND';
  return {
    entries: [],
    problems: isGone ? [] : [{ path, error, during: 'scan' }],
    complete: false,
    vanished: isGone ? [path] : [],
  };
}
