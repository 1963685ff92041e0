import { isHoldfastError } from '../../src/base/errors.ts';
import type { Timestamp } from '../../src/base/timestamp.ts';
import { compareTimestamps } from '../../src/base/timestamp.ts';
import { openDirectory, type ScannedEntry, scanDirectory } from '../../src/platform/directory.ts';
import {
  closeFile,
  type EntryPlace,
  openFile,
  readAt,
  readLinkAt,
  splitPath,
} from '../../src/platform/files.ts';
import { printablePath } from '../../src/platform/place.ts';
import { type FileStatus, tryReadStatus } from '../../src/platform/status.ts';

/** How trees are compared. */
export interface CompareOptions {
  /** When the copy began to be made: what changed in the original since then cannot be compared. */
  readonly since: Timestamp;
  /** Compare owners and what only root may set (attributes `security.*`). */
  readonly asRoot: boolean;
  /** Called after every directory; may throw to stop. */
  readonly onDirectory?: (comparison: Comparison) => void | Promise<void>;
}

/** What a comparison found. Sizes in bytes. */
export interface Comparison {
  entryCount: number;
  fileCount: number;
  contentSizeBytes: number;
  /** A line for each difference: path and what differs. */
  readonly differences: string[];
  /** A line for each entry that is not in the copy, or cannot be read to be compared. */
  readonly missing: string[];
  /** Paths that changed in the original meanwhile, and differ or are gone. */
  readonly changedMeanwhile: string[];
  /** Sockets, which backups leave out: programs make them anew. */
  socketCount: number;
}

const blockSizeBytes = 2 ** 20;

/**
 * Compares two trees in every byte and attribute: type, mode, owner, size, content, modification time to the
 * nanosecond, target of links, device numbers, extended attributes, and which names are hard links of one file.
 * @param original path of a file or directory
 * @param copy path of its copy
 * @throws what reading the copy throws; what cannot be read of the original is missing
 */
export async function compareTrees(
  original: Uint8Array,
  copy: Uint8Array,
  options: CompareOptions,
): Promise<Comparison> {
  const comparing = new TreeComparison(options);
  await comparing.run(original, copy);
  return comparing.result;
}

/** Two directories that should be equal, and how they are called. */
interface Pair {
  readonly original: Uint8Array;
  readonly copy: Uint8Array;
}

/** Opened directories of a pair. */
interface OpenPair extends Pair {
  readonly originalDirectory: number;
  readonly copyDirectory: number;
}

class TreeComparison {
  readonly result: Comparison = {
    entryCount: 0,
    fileCount: 0,
    contentSizeBytes: 0,
    differences: [],
    missing: [],
    changedMeanwhile: [],
    socketCount: 0,
  };
  readonly #options: CompareOptions;
  readonly #waiting: Pair[] = [];
  #root: Uint8Array = new Uint8Array();
  /** First copy of each hard-linked file of the original, and the other way round. */
  readonly #linkedTo = new Map<string, string>();
  readonly #blocks = [Buffer.alloc(blockSizeBytes), Buffer.alloc(blockSizeBytes)] as const;

  constructor(options: CompareOptions) {
    this.#options = options;
  }

  async run(original: Uint8Array, copy: Uint8Array): Promise<void> {
    const [from, to] = [splitPath(original), splitPath(copy)];
    this.#root = original;
    this.#inDirectories({ original: from.parent, copy: to.parent }, (pair, entries, copies) => {
      const one = entries.find(({ name }) => Buffer.compare(name, from.name) === 0);
      const other = copies.find(({ name }) => Buffer.compare(name, to.name) === 0);
      this.#compareNames(pair, one, other);
    });
    for (let pair = this.#waiting.pop(); pair; pair = this.#waiting.pop()) {
      this.#inDirectories(pair, (opened, entries, copies) => {
        for (const [one, other] of byName(entries, copies)) {
          this.#compareNames(opened, one, other);
        }
      });
      await this.#options.onDirectory?.(this.result);
    }
  }

  /** Opens and lists both directories for the time of `work`. */
  #inDirectories(
    pair: Pair,
    work: (
      pair: OpenPair,
      entries: readonly ScannedEntry[],
      copies: readonly ScannedEntry[],
    ) => void,
  ): void {
    const originalDirectory = this.#openOriginal(pair.original);
    if (originalDirectory === undefined) return;
    const copyDirectory = openDirectory(pair.copy);
    try {
      const opened = { ...pair, originalDirectory, copyDirectory };
      const scan = { extendedAttributes: true };
      work(opened, scanDirectory(originalDirectory, scan), scanDirectory(copyDirectory, scan));
    } finally {
      closeFile(originalDirectory);
      closeFile(copyDirectory);
    }
  }

  #openOriginal(path: Uint8Array): number | undefined {
    try {
      return openDirectory(path);
    } catch (error) {
      this.#miss(path, `cannot be read (${messageOf(error)})`);
      return undefined;
    }
  }

  #compareNames(
    pair: OpenPair,
    one: ScannedEntry | undefined,
    other: ScannedEntry | undefined,
  ): void {
    const path = join(pair.original, (one ?? other)?.name ?? new Uint8Array());
    const status = one && this.#statusOf(path, one);
    if (one && !status) return;
    if (status?.kind === 'socket' && !other) {
      this.result.socketCount++;
      return;
    }
    this.result.entryCount++;
    if (!other) return this.#miss(path, 'is missing from the copy');
    if (!one || !status) return this.#note(path, 'is not there any more');
    if (!isStatus(other.status)) throw other.status;
    const copied = other.status;
    for (const what of this.#attributeDifferences(status, copied)) this.#note(path, what);
    if (!this.#sameAttributes(one, other)) this.#note(path, 'extended attributes differ');
    if (status.kind !== copied.kind) return;
    if (!this.#sameLinks(status, copied)) this.#note(path, 'hard links differ');
    this.#compareContent(pair, { one, other, path, status });
  }

  #statusOf(path: Uint8Array, entry: ScannedEntry): FileStatus | undefined {
    if (isStatus(entry.status)) return entry.status;
    this.#miss(path, `cannot be read (${entry.status.message})`);
    return undefined;
  }

  #attributeDifferences(a: FileStatus, b: FileStatus): string[] {
    if (a.kind !== b.kind) return [`is a ${a.kind}, its copy a ${b.kind}`];
    const found: string[] = [];
    const isFile = a.kind === 'file';
    // Setuid and setgid only root gets back.
    const compared = this.#options.asRoot ? 0o7777 : 0o1777;
    if ((a.mode & compared) !== (b.mode & compared))
      found.push(`mode ${a.mode.toString(8)}, copy ${b.mode.toString(8)}`);
    if (isFile && a.sizeBytes !== b.sizeBytes) {
      found.push(`size ${a.sizeBytes}, copy ${b.sizeBytes}`);
    }
    if (compareTimestamps(a.mtime, b.mtime) !== 0) {
      found.push(`modified ${timeText(a.mtime)}, copy ${timeText(b.mtime)}`);
    }
    if (this.#options.asRoot && (a.uid !== b.uid || a.gid !== b.gid)) {
      found.push(`owner ${a.uid}:${a.gid}, copy ${b.uid}:${b.gid}`);
    }
    const isDevice = a.kind === 'block' || a.kind === 'character';
    if (isDevice && a.rdev !== b.rdev) found.push(`device ${a.rdev}, copy ${b.rdev}`);
    return found;
  }

  #sameAttributes(one: ScannedEntry, other: ScannedEntry): boolean {
    const texts = ({ extendedAttributes }: ScannedEntry): string =>
      extendedAttributes
        .map(({ name, value }) => `${latin1(name)}=${Buffer.from(value).toString('hex')}`)
        .filter((text) => this.#options.asRoot || !text.startsWith('security.'))
        .toSorted()
        .join('\n');
    return texts(one) === texts(other);
  }

  /** True unless two names of one file became two files, or the other way round. */
  #sameLinks(a: FileStatus, b: FileStatus): boolean {
    if (a.kind === 'directory' || (a.links < 2 && b.links < 2)) return true;
    const [from, to] = [`original ${a.device} ${a.inode}`, `copy ${b.device} ${b.inode}`];
    const known = [this.#linkedTo.get(from), this.#linkedTo.get(to)];
    this.#linkedTo.set(from, to).set(to, from);
    return (known[0] ?? to) === to && (known[1] ?? from) === from;
  }

  #compareContent(
    pair: OpenPair,
    entry: { one: ScannedEntry; other: ScannedEntry; path: Uint8Array; status: FileStatus },
  ): void {
    const { one, other, path, status } = entry;
    const place = { directory: pair.originalDirectory, name: one.name };
    const copy = { directory: pair.copyDirectory, name: other.name };
    if (status.kind === 'directory') {
      this.#waiting.push({ original: path, copy: join(pair.copy, other.name) });
    } else if (status.kind === 'symlink') {
      this.#compareLinks(place, copy, path);
    } else if (status.kind === 'file') {
      this.result.fileCount++;
      this.#compareBytes(place, copy, path);
    }
  }

  #compareLinks(place: EntryPlace, copy: EntryPlace, path: Uint8Array): void {
    let target: Uint8Array;
    try {
      target = readLinkAt(place.directory, place.name);
    } catch (error) {
      return this.#miss(path, `cannot be read (${messageOf(error)})`);
    }
    const copied = readLinkAt(copy.directory, copy.name);
    if (Buffer.compare(target, copied) !== 0) {
      this.#note(path, 'the target of the link differs');
    }
  }

  #compareBytes(place: EntryPlace, copy: EntryPlace, path: Uint8Array): void {
    let file: number;
    try {
      file = openFile(place);
    } catch (error) {
      return this.#miss(path, `cannot be read (${messageOf(error)})`);
    }
    const other = openFile(copy);
    try {
      for (let offset = 0; ; ) {
        const size = fill(file, this.#blocks[0], offset);
        const copySize = fill(other, this.#blocks[1], offset);
        const [a, b] = [this.#blocks[0].subarray(0, size), this.#blocks[1].subarray(0, copySize)];
        if (Buffer.compare(a, b) !== 0) {
          return this.#note(path, `content differs after byte ${offset}`);
        }
        if (size === 0) return;
        offset += size;
        this.result.contentSizeBytes += size;
      }
    } finally {
      closeFile(file);
      closeFile(other);
    }
  }

  /** Notes a difference. */
  #note(path: Uint8Array, what: string): void {
    if (!this.#hasChanged(path)) {
      this.result.differences.push(`${printablePath(path)}: ${what}`);
    }
  }

  /** Notes an entry that could not be compared. */
  #miss(path: Uint8Array, what: string): void {
    if (!this.#hasChanged(path)) {
      this.result.missing.push(`${printablePath(path)}: ${what}`);
    }
  }

  /** True, and noted, if the original was touched since the copy began. */
  #hasChanged(path: Uint8Array): boolean {
    const status = this.#lastOf(path);
    if (!status || compareTimestamps(status.ctime, this.#options.since) < 0) return false;
    const text = printablePath(path);
    const { changedMeanwhile } = this.result;
    if (changedMeanwhile.at(-1) !== text) changedMeanwhile.push(text);
    return true;
  }

  /**
   * What is at a path of the original now, for it may have changed after it was listed. If it is gone, the folder that
   * it was taken from, whose time tells when; undefined if all of the original is gone, or it cannot be told.
   */
  #lastOf(path: Uint8Array): FileStatus | undefined {
    try {
      for (let at = path; at.length >= this.#root.length; at = splitPath(at).parent) {
        const status = tryReadStatus(at);
        if (status) return status;
      }
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
    }
    return undefined;
  }
}

function isStatus(status: ScannedEntry['status']): status is FileStatus {
  return !isHoldfastError(status);
}

/** Pairs of two sorted listings; one side is undefined where a name is in the other only. */
function* byName(
  entries: readonly ScannedEntry[],
  copies: readonly ScannedEntry[],
): Generator<[ScannedEntry | undefined, ScannedEntry | undefined]> {
  let at = 0;
  for (const entry of entries) {
    let copy = copies[at];
    while (copy && Buffer.compare(copy.name, entry.name) < 0) {
      yield [undefined, copy];
      copy = copies[++at];
    }
    const isSame = copy && Buffer.compare(copy.name, entry.name) === 0;
    if (isSame) at++;
    yield [entry, isSame ? copy : undefined];
  }
  for (const copy of copies.slice(at)) yield [undefined, copy];
}

/** Reads until `target` is full or the file ends. */
function fill(file: number, target: Uint8Array, offset: number): number {
  let done = 0;
  while (done < target.length) {
    const size = readAt(file, target.subarray(done), offset + done);
    if (size === 0) break;
    done += size;
  }
  return done;
}

function join(folder: Uint8Array, name: Uint8Array): Uint8Array {
  const isRoot = folder.at(-1) === 0x2f;
  return Buffer.concat([folder, isRoot ? new Uint8Array() : Buffer.from('/'), name]);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1');
}

function timeText(time: Timestamp): string {
  return `${time.seconds}.${String(time.nanoseconds).padStart(9, '0')}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
