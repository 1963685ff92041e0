import { HoldfastError } from '../base/errors.ts';
import type { ExtendedAttribute, FileKind, FileStatus, ScannedEntry } from './system-calls.ts';
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

/** What few entries have. */
interface PackedExtra {
  readonly index: number;
  readonly attributes?: readonly ExtendedAttribute[];
  readonly linkTarget?: Uint8Array<ArrayBuffer>;
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

const kinds: readonly FileKind[] = [
  'file',
  'directory',
  'symlink',
  'block',
  'character',
  'fifo',
  'socket',
  'unknown',
];
/** Kind, mode, uid, gid, links, inode, device, rdev, size, blocks, three times of two numbers, length of the name. */
const statusFields = 17;

/** True if numbers hold all of it exactly: no bigint among them. */
function isPackable({ inode, device, rdev }: FileStatus): boolean {
  return typeof inode === 'number' && typeof device === 'number' && typeof rdev === 'number';
}

/** Packs directories; `undefined` stands for one that is left to the caller, as one is with anything unusual in it. */
export function packScans(scans: readonly (ScannedDirectory | undefined)[]): PackedScans {
  const fit = scans.map((scan) => (scan && isFit(scan) ? scan : undefined));
  let objectCount = 0;
  let nameBytes = 0;
  for (const scan of fit) {
    if (!scan) continue;
    objectCount += 1 + scan.entries.length;
    for (const { name } of scan.entries) nameBytes += name.length;
  }
  const writer = new ScanWriter(objectCount, nameBytes);
  for (const scan of fit) if (scan) writer.add(scan);
  return {
    numbers: writer.numbers,
    names: writer.names,
    counts: fit.map((scan) => (scan ? scan.entries.length : -1)),
    extras: fit.map((scan) => scan && extrasOf(scan)),
  };
}

function isFit({ status, entries }: ScannedDirectory): boolean {
  if (!isPackable(status)) return false;
  return entries.every((entry) => {
    return !(entry.status instanceof HoldfastError) && isPackable(entry.status);
  });
}

function extrasOf({ entries, linkTargets }: ScannedDirectory): PackedExtra[] | undefined {
  const extras: PackedExtra[] = [];
  for (const [index, { name, extendedAttributes }] of entries.entries()) {
    const linkTarget = linkTargets.get(name);
    if (extendedAttributes.length === 0 && !linkTarget) continue;
    extras.push({
      index,
      ...(extendedAttributes.length > 0 ? { attributes: extendedAttributes } : {}),
      ...(linkTarget ? { linkTarget } : {}),
    });
  }
  return extras.length > 0 ? extras : undefined;
}

class ScanWriter {
  readonly numbers: Float64Array<ArrayBuffer>;
  readonly names: Uint8Array<ArrayBuffer>;
  #at = 0;
  #nameAt = 0;

  constructor(objectCount: number, nameBytes: number) {
    this.numbers = new Float64Array(objectCount * statusFields);
    this.names = new Uint8Array(nameBytes);
  }

  add({ status, entries }: ScannedDirectory): void {
    this.#status(status, 0);
    for (const { name, status: ofEntry } of entries) {
      if (!(ofEntry instanceof HoldfastError)) this.#status(ofEntry, name.length);
      this.names.set(name, this.#nameAt);
      this.#nameAt += name.length;
    }
  }

  #status(status: FileStatus, nameLength: number): void {
    const { numbers } = this;
    let at = this.#at;
    numbers[at++] = kinds.indexOf(status.kind);
    numbers[at++] = status.mode;
    numbers[at++] = status.uid;
    numbers[at++] = status.gid;
    numbers[at++] = status.links;
    numbers[at++] = Number(status.inode);
    numbers[at++] = Number(status.device);
    numbers[at++] = Number(status.rdev);
    numbers[at++] = status.sizeBytes;
    numbers[at++] = status.blocks;
    for (const time of [status.mtime, status.atime, status.ctime]) {
      numbers[at++] = time.seconds;
      numbers[at++] = time.nanoseconds;
    }
    numbers[at++] = nameLength;
    this.#at = at;
  }
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
  next(): ScannedDirectory | undefined {
    const { counts, extras } = this.#packed;
    const directory = this.#directory++;
    const count = counts[directory] ?? -1;
    if (count < 0) return undefined;
    const status = this.#status();
    this.#at++;
    const entries: {
      name: Uint8Array<ArrayBuffer>;
      status: FileStatus;
      extendedAttributes: readonly ExtendedAttribute[];
    }[] = [];
    for (let i = 0; i < count; i++) {
      const ofEntry = this.#status();
      const nameEnd = this.#nameAt + (this.#packed.numbers[this.#at++] ?? 0);
      const name = this.#packed.names.subarray(this.#nameAt, nameEnd);
      this.#nameAt = nameEnd;
      entries.push({ name, status: ofEntry, extendedAttributes: noAttributes });
    }
    const linkTargets = new Map<Uint8Array, Uint8Array<ArrayBuffer>>();
    for (const { index, attributes, linkTarget } of extras[directory] ?? []) {
      const entry = entries[index];
      if (entry && attributes) entry.extendedAttributes = attributes;
      if (entry && linkTarget) linkTargets.set(entry.name, linkTarget);
    }
    return { status, entries, linkTargets };
  }

  #status(): FileStatus {
    const { numbers } = this.#packed;
    const at = this.#at;
    this.#at = at + statusFields - 1;
    return {
      kind: kinds[numbers[at]!]!,
      mode: numbers[at + 1]!,
      uid: numbers[at + 2]!,
      gid: numbers[at + 3]!,
      links: numbers[at + 4]!,
      inode: numbers[at + 5]!,
      device: numbers[at + 6]!,
      rdev: numbers[at + 7]!,
      sizeBytes: numbers[at + 8]!,
      blocks: numbers[at + 9]!,
      mtime: { seconds: numbers[at + 10]!, nanoseconds: numbers[at + 11]! },
      atime: { seconds: numbers[at + 12]!, nanoseconds: numbers[at + 13]! },
      ctime: { seconds: numbers[at + 14]!, nanoseconds: numbers[at + 15]! },
    };
  }
}
