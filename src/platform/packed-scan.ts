import type { Timestamp } from '../base/timestamp.ts';
import type { NamePlace } from './sort-names.ts';
import type {
  EntryExtra,
  EntryPacker,
  ExtendedAttribute,
  FileKind,
  FileStatus,
  ScannedEntry,
  StatusPacker,
} from './system-calls.ts';
import { noAttributes } from './system-calls.ts';

/** A directory that was read, with everything about it in order. */
export interface ScannedDirectory {
  /** Of the directory that was opened. */
  readonly status: FileStatus;
  /** Sorted by name, each with its status. */
  readonly entries: readonly ScannedEntry[];
  /** What the links of it hold, by the name in `entries`: that very array. */
  readonly linkTargets: ReadonlyMap<Uint8Array, Uint8Array<ArrayBuffer>>;
}

/** What few entries have, and the number of the entry. */
interface PackedExtra extends EntryExtra {
  readonly index: number;
}

/** Directories in a form that is cheap to hand from thread to thread: two arrays, whatever their number. */
export interface PackedScans {
  /** `statusFields` numbers an object: for each directory that is there itself, then its entries. */
  readonly numbers: Float64Array<ArrayBuffer>;
  /** All names, one after the other. */
  readonly names: Uint8Array<ArrayBuffer>;
  /** For each directory asked for: number of its entries, or -1 if it is left to the caller. */
  readonly counts: readonly number[];
  /** By directory; absent if it has none. */
  readonly extras: readonly (readonly PackedExtra[] | undefined)[];
}

/** Kinds by their number. */
export const packedKinds: readonly FileKind[] = [
  'file',
  'directory',
  'symlink',
  'block',
  'character',
  'fifo',
  'socket',
  'unknown',
];
const directoryKind = 1;
/** Kind, mode, uid, gid, links, inode, device, rdev, size, blocks, three times of two numbers, length of the name. */
export const statusFields = 17;
const nameField = statusFields - 1;
/** Where a status in numbers has what tells whether a file is as it was. */
export const statusField = {
  kind: 0,
  inode: 5,
  device: 6,
  size: 8,
  mtimeSeconds: 10,
  mtimeNanoseconds: 11,
  ctimeSeconds: 14,
  ctimeNanoseconds: 15,
} as const;
/** The number of `packedKinds` that is a file. */
export const fileKindNumber = 0;

/** Room for so many entries to begin with, and for so many bytes of their names. */
const roomEntries = 512;
const roomNameBytes = 16 << 10;

/**
 * Packs directories one after the other, with few objects: `begin` with the directory's own status, `add` for each entry in
 * the order of names, then `end`; or `drop` at any time for one that is left to the caller, as one is with anything unusual
 * in it.
 */
export class ScanPacker implements EntryPacker {
  #numbers = new Float64Array(roomEntries * statusFields);
  #names = new Uint8Array(roomNameBytes);
  #at = 0;
  #nameAt = 0;
  /** Of the directory at hand: entries so far, and where it begins. */
  #count = 0;
  #start = { at: 0, nameAt: 0 };
  #extras: PackedExtra[] = [];
  #allCounts: number[] = [];
  #allExtras: (readonly PackedExtra[] | undefined)[] = [];

  /** @returns false if numbers do not hold the status: drop the directory */
  begin(status: FileStatus): boolean {
    this.#start = { at: this.#at, nameAt: this.#nameAt };
    this.#extras = [];
    const isPacked = this.add(noPlace, (numbers, at) => packStatus(status, numbers, at));
    this.#count = 0;
    return isPacked;
  }

  /** @returns what `pack` returns: false says that the directory is to be dropped */
  add({ bytes, start, end }: NamePlace, pack: StatusPacker): boolean {
    const length = end - start;
    if (this.#at + statusFields > this.#numbers.length) this.#growNumbers();
    while (this.#nameAt + length > this.#names.length) this.#growNames();
    if (!pack(this.#numbers, this.#at)) return false;
    this.#at += statusFields;
    this.#numbers[this.#at - 1] = length;
    for (let i = 0; i < length; i++) this.#names[this.#nameAt + i] = bytes[start + i]!;
    this.#nameAt += length;
    this.#count++;
    return true;
  }

  /** What the entry added last has besides. */
  addExtra(extra: EntryExtra): void {
    if (extra.attributes.length === 0 && !extra.linkTarget) return;
    this.#extras.push({ ...extra, index: this.#count - 1 });
  }

  end(): void {
    this.#allCounts.push(this.#count);
    this.#allExtras.push(this.#extras.length > 0 ? this.#extras : undefined);
    this.#start = { at: this.#at, nameAt: this.#nameAt };
  }

  /** Leaves a directory to the caller, of which a part may have been packed. */
  drop(): void {
    this.#at = this.#start.at;
    this.#nameAt = this.#start.nameAt;
    this.#allCounts.push(-1);
    this.#allExtras.push(undefined);
  }

  /** All directories so far; the packer is ready for the next. */
  finish(): PackedScans {
    const packed = {
      numbers: this.#numbers.slice(0, this.#at),
      names: this.#names.slice(0, this.#nameAt),
      counts: this.#allCounts,
      extras: this.#allExtras,
    };
    this.#at = 0;
    this.#nameAt = 0;
    this.#start = { at: 0, nameAt: 0 };
    this.#allCounts = [];
    this.#allExtras = [];
    return packed;
  }

  #growNumbers(): void {
    const larger = new Float64Array(2 * this.#numbers.length);
    larger.set(this.#numbers);
    this.#numbers = larger;
  }

  #growNames(): void {
    const larger = new Uint8Array(2 * this.#names.length);
    larger.set(this.#names);
    this.#names = larger;
  }
}

const noPlace: NamePlace = { bytes: new Uint8Array(0), start: 0, end: 0 };

/** As a `StatusPacker`: kind, mode and so on, in the order of `statusFields`. */
export function packStatus(status: FileStatus, numbers: Float64Array, at: number): boolean {
  const { inode, device, rdev, mtime, atime, ctime } = status;
  if (typeof inode !== 'number' || typeof device !== 'number' || typeof rdev !== 'number') {
    return false;
  }
  numbers[at] = packedKinds.indexOf(status.kind);
  numbers[at + 1] = status.mode;
  numbers[at + 2] = status.uid;
  numbers[at + 3] = status.gid;
  numbers[at + 4] = status.links;
  numbers[at + 5] = inode;
  numbers[at + 6] = device;
  numbers[at + 7] = rdev;
  numbers[at + 8] = status.sizeBytes;
  numbers[at + 9] = status.blocks;
  let next = at + 10;
  for (const { seconds, nanoseconds } of [mtime, atime, ctime]) {
    numbers[next++] = seconds;
    numbers[next++] = nanoseconds;
  }
  return true;
}

/** Reads packed directories one after the other. */
export class ScanReader {
  readonly #packed: PackedScans;
  #directory = 0;
  #at = 0;
  #nameAt = 0;

  constructor(packed: PackedScans) {
    this.#packed = packed;
  }

  /** The next directory, or undefined if it is left to the caller. */
  next(): PackedDirectory | undefined {
    const directory = this.#directory++;
    const count = this.#packed.counts[directory] ?? -1;
    if (count < 0) return undefined;
    const { numbers, names, extras } = this.#packed;
    const start = this.#at + statusFields;
    const end = start + count * statusFields;
    const nameStart = this.#nameAt;
    for (let at = start; at < end; at += statusFields) this.#nameAt += numbers[at + nameField]!;
    const read = new PackedDirectory({
      status: statusAt(numbers, this.#at),
      numbers: numbers.subarray(start, end),
      names: names.subarray(nameStart, this.#nameAt),
      extras: extras[directory],
    });
    this.#at = end;
    return read;
  }
}

/** A directory as it was packed: entries are made when somebody asks for them. */
export class PackedDirectory implements ScannedDirectory {
  readonly status: FileStatus;
  /** `statusFields` an entry; see `packStatus`. */
  readonly numbers: Float64Array;
  /** All names, one after the other. */
  readonly names: Uint8Array<ArrayBuffer>;
  readonly #extras: readonly PackedExtra[] | undefined;
  #made: Pick<ScannedDirectory, 'entries' | 'linkTargets'> | undefined;

  constructor(parts: {
    readonly status: FileStatus;
    readonly numbers: Float64Array;
    readonly names: Uint8Array<ArrayBuffer>;
    readonly extras: readonly PackedExtra[] | undefined;
  }) {
    this.status = parts.status;
    this.numbers = parts.numbers;
    this.names = parts.names;
    this.#extras = parts.extras;
  }

  get count(): number {
    return this.numbers.length / statusFields;
  }

  /** An entry has attributes, or is a link. */
  get hasExtras(): boolean {
    return this.#extras !== undefined;
  }

  get entries(): readonly ScannedEntry[] {
    return this.#all.entries;
  }

  get linkTargets(): ReadonlyMap<Uint8Array, Uint8Array<ArrayBuffer>> {
    return this.#all.linkTargets;
  }

  /** True if all entries are files and directories. */
  get isPlain(): boolean {
    const { numbers } = this;
    for (let at = 0; at < numbers.length; at += statusFields) if (numbers[at]! > 1) return false;
    return true;
  }

  /** The directories of it, without what `entries` tells of their attributes, each with its number among all entries. */
  directories(): { slot: number; name: Uint8Array<ArrayBuffer>; status: FileStatus }[] {
    const { numbers, names } = this;
    const found: { slot: number; name: Uint8Array<ArrayBuffer>; status: FileStatus }[] = [];
    let nameAt = 0;
    for (let at = 0; at < numbers.length; at += statusFields) {
      const start = nameAt;
      nameAt += numbers[at + nameField]!;
      if (numbers[at] !== directoryKind) continue;
      const name = names.subarray(start, nameAt);
      found.push({ slot: at / statusFields, name, status: statusAt(numbers, at) });
    }
    return found;
  }

  /** True if `test` is true of every name. */
  everyName(test: (name: Uint8Array) => boolean): boolean {
    const { numbers, names } = this;
    let start = 0;
    for (let at = nameField; at < numbers.length; at += statusFields) {
      const end = start + numbers[at]!;
      if (!test(names.subarray(start, end))) return false;
      start = end;
    }
    return true;
  }

  /** Calls `take` with name and status of each entry, in order; nothing of it is kept here, unlike `entries`. */
  visit(take: (name: Uint8Array<ArrayBuffer>, status: FileStatus) => void): void {
    const { numbers, names } = this;
    let nameAt = 0;
    for (let at = 0; at < numbers.length; at += statusFields) {
      const nameEnd = nameAt + numbers[at + nameField]!;
      take(names.subarray(nameAt, nameEnd), statusAt(numbers, at));
      nameAt = nameEnd;
    }
  }

  get #all(): Pick<ScannedDirectory, 'entries' | 'linkTargets'> {
    this.#made ??= this.#make();
    return this.#made;
  }

  #make(): Pick<ScannedDirectory, 'entries' | 'linkTargets'> {
    const entries: {
      name: Uint8Array<ArrayBuffer>;
      status: FileStatus;
      extendedAttributes: readonly ExtendedAttribute[];
    }[] = [];
    this.visit((name, status) => {
      entries.push({ name, status, extendedAttributes: noAttributes });
    });
    const linkTargets = new Map<Uint8Array, Uint8Array<ArrayBuffer>>();
    for (const { index, attributes, linkTarget } of this.#extras ?? []) {
      const entry = entries[index];
      if (entry) entry.extendedAttributes = attributes;
      if (entry && linkTarget) linkTargets.set(entry.name, linkTarget);
    }
    return { entries, linkTargets };
  }
}

function statusAt(numbers: Float64Array, at: number): FileStatus {
  const status = new PackedStatus(numbers, at);
  // A directory may be kept for long: it must not keep all that was packed with it.
  return status.kind === 'directory' ? unpacked(status) : status;
}

/**
 * A status among packed ones, whose parts are taken from there as they are asked for. Most are looked at once and let go:
 * objects for all times of all files took an eighth of a backup without changes, which collected them.
 */
class PackedStatus implements FileStatus {
  readonly #numbers: Float64Array;
  readonly #at: number;

  constructor(numbers: Float64Array, at: number) {
    this.#numbers = numbers;
    this.#at = at;
  }

  get kind(): FileKind {
    return packedKinds[this.#numbers[this.#at]!]!;
  }

  get mode(): number {
    return this.#numbers[this.#at + 1]!;
  }

  get uid(): number {
    return this.#numbers[this.#at + 2]!;
  }

  get gid(): number {
    return this.#numbers[this.#at + 3]!;
  }

  get links(): number {
    return this.#numbers[this.#at + 4]!;
  }

  get inode(): number {
    return this.#numbers[this.#at + 5]!;
  }

  get device(): number {
    return this.#numbers[this.#at + 6]!;
  }

  get rdev(): number {
    return this.#numbers[this.#at + 7]!;
  }

  get sizeBytes(): number {
    return this.#numbers[this.#at + 8]!;
  }

  get blocks(): number {
    return this.#numbers[this.#at + 9]!;
  }

  get mtime(): Timestamp {
    return this.#time(10);
  }

  get atime(): Timestamp {
    return this.#time(12);
  }

  get ctime(): Timestamp {
    return this.#time(14);
  }

  #time(field: number): Timestamp {
    const at = this.#at + field;
    return { seconds: this.#numbers[at]!, nanoseconds: this.#numbers[at + 1]! };
  }
}

/** The same as a plain object. */
export function unpacked(status: FileStatus): FileStatus {
  const { kind, mode, uid, gid, links, inode, device, rdev } = status;
  const { sizeBytes, blocks, mtime, atime, ctime } = status;
  const numbers = { mode, uid, gid, links, inode, device, rdev, sizeBytes, blocks };
  return { kind, ...numbers, mtime, atime, ctime };
}
