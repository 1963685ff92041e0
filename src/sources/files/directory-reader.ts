import { equalBytes } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import { type ScannedEntry, SortedNames } from '../../platform/directory.ts';
import type { PackedDirectory } from '../../platform/packed-scan.ts';
import { printablePath } from '../../platform/place.ts';
import type { FileStatus } from '../../platform/status.ts';
import { posixCode } from '../../platform/system-error.ts';
import { replacedError } from '../open-file.ts';
import type { SourceProblem } from '../source.ts';
import { type ByteText, byteTextOf } from './byte-text.ts';
import {
  type DirectoryScan,
  findEntry,
  scanNear,
  scanSome,
  type SilentNames,
  type TagPlace,
} from './directory-scan.ts';
import type { DirectoryScope } from './directory-scope.ts';
import type { ExcludeRules } from './exclude-rules.ts';
import { FileEntry } from './file-entry.ts';
import type { FolderGuard } from './folder-guard.ts';
import { PackedListing } from './packed-listing.ts';
import { readStart } from './read-start.ts';

/** Entries of a large directory that are read at once. */
const partEntriesMax = 8192;

/** A listing in the making. */
export interface ListingDraft {
  readonly entries: FileEntry[];
  readonly problems: SourceProblem[];
  readonly vanished: Uint8Array[];
}

/** A listing of nothing yet; the caller fills its lists. */
export function emptyDraft(): ListingDraft {
  return { entries: [], problems: [], vanished: [] };
}

/** What decides on entries while directories are read. */
export interface ReaderParts {
  readonly rules: ExcludeRules;
  readonly folders: FolderGuard;
  /** Hears what is left out although nobody asked for that: sockets. */
  readonly onNote: (text: string) => void;
}

/** Names of a directory that are not read as others are. */
export interface ReadOptions {
  /** Names of mount points that do not answer: they are not touched, and each is a problem. */
  readonly silent?: ReadonlySet<ByteText> | undefined;
  /** True for names that the listing gets from somewhere else. */
  readonly isElsewhere?: ((name: ByteText) => boolean) | undefined;
}

/** A directory that is read in parts. */
interface LargeDirectory {
  readonly scope: DirectoryScope;
  readonly skips: (name: Uint8Array) => boolean;
  readonly silent: SilentNames | undefined;
  readonly names: SortedNames;
  /** Number of the first name that was not read. */
  readonly next: number;
}

/** The entries of a directory, or some of them. */
export interface DirectoryPart extends ListingDraft {
  /** Absent: these were all that were left. */
  readonly rest?: DirectoryRest;
}

/** Entries of a large directory that are still to be read. */
export interface DirectoryRest {
  /** Name of the first of them. */
  readonly from: Uint8Array;
  /** Reads the next ones of the same directory, opened again. */
  read(directory: number): DirectoryPart;
}

/** Turns an opened directory into entries with their metadata, excludes applied. */
export class DirectoryReader {
  readonly #parts: ReaderParts;

  constructor(parts: ReaderParts) {
    this.#parts = parts;
  }

  /**
   * Reads the entries of the opened directory that `scope` describes, sorted by name; of a large one the first some
   * thousand. Which entries there are and which tags are in force is decided at once.
   * @throws SYSTEM_CALL_FAILED and kin if the directory cannot be listed
   */
  read(directory: number, scope: DirectoryScope, options: ReadOptions = {}): DirectoryPart {
    const silent = options.silent && { names: options.silent, error: silentMountError() };
    const found = scanNear(directory, silent);
    if (!(found instanceof SortedNames)) return this.take(found, scope, options);
    const skips = this.#skipsIn(scope, options, {
      find: (name) =>
        found.find(name) < 0
          ? undefined
          : scanSome(directory, [Uint8Array.from(name)], silent).entries[0],
      start: (name, sizeBytes) => readStart({ directory, name }, sizeBytes),
    });
    return this.#readPart(directory, { scope, skips, names: found, next: 0, silent });
  }

  /** As `read`, of a directory that was read before, whole. */
  take(scan: DirectoryScan, scope: DirectoryScope, options: ReadOptions): ListingDraft {
    const skips = this.#skipsIn(scope, options, {
      find: (name) => findEntry(scan.entries, name),
      start: (name, sizeBytes) => scan.start(name, sizeBytes),
    });
    return this.#take(scan, scope, skips);
  }

  /**
   * As `take`, without looking at each entry, where no entry needs that; undefined if some do.
   */
  takePacked(packed: PackedDirectory, scope: DirectoryScope): PackedListing | undefined {
    const { rules, folders } = this.#parts;
    if (!rules.isByNameOnly || packed.hasExtras || !packed.isPlain) return undefined;
    const { state } = scope.facts;
    if (rules.hasPatterns && !packed.everyName((name) => !rules.excludesName(state, name))) {
      return undefined;
    }
    const directories = packed.directories();
    if (directories.some(({ status }) => folders.roleOf(status))) return undefined;
    return new PackedListing(packed, directories, scope);
  }

  /** Reads the next names of a large directory. */
  #readPart(directory: number, large: LargeDirectory): DirectoryPart {
    const { names, skips, scope, silent } = large;
    const wanted: Uint8Array<ArrayBuffer>[] = [];
    let next = large.next;
    for (; next < names.length && wanted.length < partEntriesMax; next++) {
      const name = names.at(next);
      if (!skips(name)) wanted.push(name);
    }
    const draft = this.#take(scanSome(directory, wanted, silent), scope, skips);
    if (next === names.length) return draft;
    const read = (again: number): DirectoryPart => this.#readPart(again, { ...large, next });
    return { ...draft, rest: { from: names.at(next), read } };
  }

  /** Which names of a directory are left out. */
  #skipsIn(
    scope: DirectoryScope,
    { isElsewhere }: ReadOptions,
    place: TagPlace,
  ): (name: Uint8Array) => boolean {
    const { rules, onNote } = this.#parts;
    const { state } = scope.facts;
    const tags = rules.tagsIn(place, (name, why) =>
      onNote(`${printablePath(scope.pathOf(name))} ${why}: it excludes nothing`),
    );
    return (name) =>
      rules.excludesName(state, name) ||
      (isElsewhere !== undefined && isElsewhere(byteTextOf(name))) ||
      (tags.length > 0 && !tags.every((tag) => equalBytes(tag, name)));
  }

  /** Makes entries of what was read. */
  #take(
    scan: DirectoryScan,
    scope: DirectoryScope,
    skips: (name: Uint8Array) => boolean,
  ): ListingDraft {
    const draft = emptyDraft();
    for (const name of scan.vanished) if (!skips(name)) draft.vanished.push(scope.pathOf(name));
    for (const scanned of scan.entries) {
      const { name, status } = scanned;
      if (skips(name)) continue;
      if (status instanceof HoldfastError) addProblem(draft, scope, { name, error: status });
      else if (this.#admits(status, name, { scope, draft })) {
        const linkTarget = status.kind === 'symlink' ? scan.linkTarget(name) : undefined;
        addEntry(draft, scope, { scanned, status, linkTarget });
        if (scan.attributeProblems.size > 0) addAttributeProblems(draft, scope, { scan, name });
      }
    }
    return draft;
  }

  /** True if an entry of this kind can be stored at all; else says why not, in a note or a problem. */
  admitsKind(status: FileStatus, path: Uint8Array, problems: SourceProblem[]): boolean {
    const { folders, onNote } = this.#parts;
    if (status.kind === 'directory') {
      const role = folders.roleOf(status);
      if (role === 'forbidden') problems.push({ path, error: holdsError(), during: 'scan' });
      return role === undefined;
    }
    if (status.kind === 'socket') {
      onNote(`${printablePath(path)} is a socket: left out`);
      return false;
    }
    if (status.kind !== 'unknown') return true;
    const message = 'a source is of a kind that this system does not name';
    const error = new HoldfastError('SOURCE_FAILED', { message });
    problems.push({ path, error, during: 'scan' });
    return false;
  }

  /** True if an entry with this status belongs to the source, as far as its name does not decide. */
  #admits(
    status: FileStatus,
    name: Uint8Array,
    { scope, draft }: { readonly scope: DirectoryScope; readonly draft: ListingDraft },
  ): boolean {
    const { rules } = this.#parts;
    if (rules.isOneFileSystem && !isOnFileSystem(status, scope)) return isMountPoint(status, scope);
    if (rules.excludesSize(status)) return false;
    // The usual case without putting the path together.
    if (status.kind === 'file' || status.kind === 'symlink') return true;
    return this.admitsKind(status, scope.pathOf(name), draft.problems);
  }
}

/** The error for a mount point whose file system gave no answer within the limit. */
export function silentMountError(): HoldfastError {
  return new HoldfastError('SOURCE_FAILED', {
    message: 'the file system mounted here does not answer',
    details: { reason: 'silent-mount' },
    hint: 'Repair or unmount it, or exclude its mount point.',
  });
}

function holdsError(): HoldfastError {
  return new HoldfastError('SOURCE_HOLDS_REPOSITORY', {
    message: 'the repository is part of the source: its folder is left out',
    hint: 'Exclude the folder of the repository, or keep the repository elsewhere.',
  });
}

/** True on the device of the target above. */
function isOnFileSystem(status: FileStatus, scope: DirectoryScope): boolean {
  const { targetDevice } = scope.facts;
  return targetDevice === undefined || status.device === targetDevice;
}

/** True for a directory of another device in one of the target's: it stays, and nothing of it is read. */
function isMountPoint(status: FileStatus, scope: DirectoryScope): boolean {
  return status.kind === 'directory' && scope.facts.device === scope.facts.targetDevice;
}

function addProblem(
  draft: ListingDraft,
  scope: DirectoryScope,
  { name, error }: { readonly name: Uint8Array; readonly error: HoldfastError },
): void {
  draft.problems.push({ path: scope.pathOf(name), error, during: 'scan' });
}

function addEntry(
  draft: ListingDraft,
  scope: DirectoryScope,
  read: {
    readonly scanned: ScannedEntry;
    readonly status: FileStatus;
    readonly linkTarget: Uint8Array | HoldfastError | undefined;
  },
): void {
  const { scanned, status, linkTarget } = read;
  const { name, extendedAttributes } = scanned;
  if (!(linkTarget instanceof HoldfastError)) {
    draft.entries.push(new FileEntry(name, { status, linkTarget, extendedAttributes }, { scope }));
  } else if (linkTarget.code === 'FILE_NOT_FOUND') {
    draft.vanished.push(scope.pathOf(name));
  } else {
    // EINVAL: it is no link any more.
    const isReplaced = posixCode(linkTarget) === 'EINVAL';
    const error = isReplaced ? replacedError(scope.pathOf(name), linkTarget) : linkTarget;
    addProblem(draft, scope, { name, error });
  }
}

function addAttributeProblems(
  draft: ListingDraft,
  scope: DirectoryScope,
  { scan, name }: { readonly scan: DirectoryScan; readonly name: Uint8Array },
): void {
  for (const error of scan.attributeProblems.get(byteTextOf(name)) ?? []) {
    addProblem(draft, scope, { name, error });
  }
}
