import { groupName, userName } from '../../platform/owners.ts';
import { type PackedDirectory, statusFields } from '../../platform/packed-scan.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { idSizeBytes } from '../../repository/id.ts';
import { goMode } from '../../repository/mode.ts';
import {
  packedField as field,
  packedNodeFields,
  type PackedOwner,
  PackedTreeMatcher,
  packedTreeSizeBytesMax,
} from '../../repository/packed-tree-matcher.ts';
import type { ZoneOffset } from '../../repository/time-format.ts';
import type { PackedEntries } from '../../sources/source.ts';
import { hasAllChunks, mayHideChange, type ParentTime } from './change-detection.ts';
import { storedDevice } from './node.ts';
import type { BackupOptions } from './options.ts';

/** A directory that is as its stored tree says, but for what may have changed below it. */
export interface PackedMatch {
  /** Ids of the stored trees of its directories, in their order. */
  readonly subtrees: readonly Uint8Array[];
  readonly fileCount: number;
  readonly fileBytes: number;
}

/** Beyond the year 9999; the kernel's integers end somewhere, too. */
const secondsEnd = 253_402_300_800;

/** Compares whole directories with their stored trees, without an object for any of their files. */
export class PackedMatcher {
  /** Made when it is needed: a kernel reserves address space, and many sources have no packed directories. */
  #made: PackedTreeMatcher | undefined;
  readonly #index: BlobIndex;
  readonly #options: Pick<BackupOptions, 'deviceOfHardLinksOnly'>;
  readonly #zone: ZoneOffset;
  readonly #parentTime: ParentTime | undefined;
  /** Of the node before: neighbours mostly have the same owner. */
  #owner: (PackedOwner & { readonly uid: number; readonly gid: number }) | undefined;
  #fileCount = 0;
  #fileBytes = 0;

  constructor(parts: {
    readonly index: BlobIndex;
    readonly options: Pick<BackupOptions, 'deviceOfHardLinksOnly'>;
    /** That times of nodes are written in. */
    readonly zone: ZoneOffset;
    readonly parentTime: ParentTime | undefined;
  }) {
    this.#index = parts.index;
    this.#options = parts.options;
    this.#zone = parts.zone;
    this.#parentTime = parts.parentTime;
  }

  get #matcher(): PackedTreeMatcher {
    this.#made ??= new PackedTreeMatcher();
    return this.#made;
  }

  /** Undefined for a directory with changes of its own, and for some that have none: to be compared in the ordinary way. */
  match({ directory, directories }: PackedEntries, stored: Uint8Array): PackedMatch | undefined {
    if (stored.byteLength > packedTreeSizeBytesMax) return undefined;
    if (!this.#take(directory, stored)) return undefined;
    const found = this.#matcher.match(stored, directory.names);
    if (!found || !hasAllChunks(this.#index, found.content)) return undefined;
    return {
      subtrees: directories.map((_, i) =>
        found.subtrees.slice(i * idSizeBytes, (i + 1) * idSizeBytes),
      ),
      fileCount: this.#fileCount,
      fileBytes: this.#fileBytes,
    };
  }

  /** Makes nodes of the entries; false if one of them cannot be compared so. */
  #take({ numbers, names, count }: PackedDirectory, stored: Uint8Array): boolean {
    const sizes = { treeBytes: stored.byteLength, nameBytes: names.byteLength };
    const nodes = this.#matcher.room(count, sizes);
    this.#fileCount = 0;
    this.#fileBytes = 0;
    for (let at = 0, to = 0; at < numbers.length; at += statusFields, to += packedNodeFields) {
      if (!this.#takeNode(numbers, at, { nodes, to })) return false;
    }
    return true;
  }

  /** As `nodeOf` makes a node of an entry. The numbers are those of `packStatus`. */
  #takeNode(
    numbers: Float64Array,
    at: number,
    { nodes, to }: { readonly nodes: Float64Array; readonly to: number },
  ): boolean {
    const isFile = numbers[at] === 0;
    const links = numbers[at + 4]!;
    const modified = numbers[at + 10]!;
    const seconds = numbers[at + 14]!;
    const nanoseconds = numbers[at + 15]!;
    if (isFile && mayHideChange({ seconds, nanoseconds }, this.#parentTime)) return false;
    const mode = goMode(isFile ? 'file' : 'dir', numbers[at + 1]!);
    const owner = this.#ownerOf(numbers[at + 2]!, numbers[at + 3]!);
    if (mode === 0 || !owner || !isUsualTime(modified) || !isUsualTime(seconds)) return false;
    const kind = isFile ? 'file' : 'directory';
    const device = storedDevice({ kind, links, device: numbers[at + 6]! }, this.#options);
    nodes[to + field.kind] = isFile ? 0 : 1;
    nodes[to + field.mode] = mode;
    nodes[to + field.ownerAt] = owner.at;
    nodes[to + field.ownerLength] = owner.length;
    nodes[to + field.links] = isFile ? links : 0;
    nodes[to + field.inode] = numbers[at + 5]!;
    nodes[to + field.deviceId] = Number(device);
    nodes[to + field.mtimeOffset] = this.#offsetAt(modified);
    nodes[to + field.sizeBytes] = isFile ? numbers[at + 8]! : 0;
    nodes[to + field.ctimeOffset] = this.#offsetAt(seconds);
    nodes[to + field.mtimeSeconds] = modified;
    nodes[to + field.mtimeNanoseconds] = numbers[at + 11]!;
    nodes[to + field.ctimeSeconds] = seconds;
    nodes[to + field.ctimeNanoseconds] = nanoseconds;
    nodes[to + field.nameLength] = numbers[at + 16]!;
    if (isFile) {
      this.#fileCount++;
      this.#fileBytes += numbers[at + 8]!;
    }
    return true;
  }

  #offsetAt(seconds: number): number {
    return Math.round(this.#zone(seconds) * 60);
  }

  #ownerOf(uid: number, gid: number): PackedOwner | undefined {
    if (this.#owner?.uid === uid && this.#owner.gid === gid) return this.#owner;
    const names = { user: userName(uid) ?? '', group: groupName(gid) ?? '' };
    const place = this.#matcher.ownerOf({ uid, gid, ...names });
    this.#owner = place && { ...place, uid, gid };
    return this.#owner;
  }
}

function isUsualTime(seconds: number): boolean {
  return seconds >= 0 && seconds < secondsEnd;
}
