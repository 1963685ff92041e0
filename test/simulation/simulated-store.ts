import { concatBytes, toHex } from '../../src/base/bytes.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import { sha256 } from '../../src/kernels/sha256.ts';
import type { FileHandle, FileStat, FileType } from '../../src/storage/backend.ts';
import { memoryKey, type MemoryFiles } from '../../src/storage/memory/memory-backend.ts';
import type { EventQueue } from './event-queue.ts';
import type { Reached } from './reach.ts';
import type { Seeded } from './seeded.ts';

/** What was changed, for who watches. */
export interface StoreChange {
  /** `damage`: its bytes are others, or it is gone, and nobody asked for it. */
  readonly kind: 'put' | 'remove' | 'damage';
  readonly type: FileType;
  readonly name: string;
  /** Who asked for it; the storage itself after a power cut. */
  readonly by: string;
  /** Of damage: since when it can be seen without reading the bytes. */
  readonly visibleSinceMs?: number | undefined;
}

/** A file that is on its way: what of it is stored if the power fails now is open. */
export interface UnfinishedPut {
  readonly handle: FileHandle;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** How a file at rest is damaged. */
export type DamageKind = 'flip' | 'cut' | 'loss';

export interface StoreTraits {
  /** For so long a listing may lack a new file, or show one that was removed; 0: listings are right. */
  readonly listingLagMsMax: number;
  /** Says that listings are right, so that nobody waits for them. */
  readonly listsAtOnce: boolean;
  /** A power cut undoes what was stored just before: no storage that may be used does so. */
  readonly losesStored: boolean;
}

/** A removal of a pack or lock may be undone by a power cut for so long. */
const removalSettlesMs = 60_000;

const sectorSizeBytes = 512;

/** Files of which a power cut may leave a part under their names: what reads them must be able to tell. */
const tearable: ReadonlySet<FileType> = new Set<FileType>(['pack', 'lock']);

/** The storage of one repository: what is really there, and what listings say. Changes are told to `watch`. */
export class SimulatedStore {
  readonly name: string;
  readonly files: MemoryFiles = new Map();
  readonly #queue: EventQueue;
  readonly #random: Seeded;
  #traits: StoreTraits;
  readonly #missingUntilMs = new Map<string, number>();
  readonly #ghosts = new Map<string, { readonly untilMs: number; readonly sizeBytes: number }>();
  readonly #storedAtMs = new Map<string, number>();
  #removals: { key: string; bytes: Uint8Array<ArrayBuffer>; atMs: number }[] = [];
  /** Puts that have not had their effect. */
  readonly unfinished: Set<UnfinishedPut> = new Set();
  readonly #reach: (what: Reached) => void;
  /** Who stored each lock that is there. */
  readonly #lockOwners = new Map<string, string>();
  readonly #damaged = new Set<FileType>();
  /** How often something was damaged. */
  damageCount = 0;
  readonly #tornNames: string[] = [];
  watch: (change: StoreChange) => void = () => {};

  constructor(
    name: string,
    parts: {
      readonly queue: EventQueue;
      readonly random: Seeded;
      readonly traits: StoreTraits;
      readonly reach: (what: Reached) => void;
    },
  ) {
    this.#reach = parts.reach;
    this.name = name;
    this.#queue = parts.queue;
    this.#random = parts.random;
    this.#traits = parts.traits;
  }

  get listsAtOnce(): boolean {
    return this.#traits.listsAtOnce;
  }

  has(handle: FileHandle): boolean {
    return this.files.has(memoryKey(handle));
  }

  put(
    handle: FileHandle,
    parts: readonly Uint8Array[],
    how: { readonly replace: boolean; readonly by: string },
  ): void {
    const key = memoryKey(handle);
    if (this.files.has(key) && !how.replace) throw new HoldfastError('FILE_EXISTS');
    this.files.set(key, concatBytes(parts));
    if (handle.type === 'lock') this.#lockOwners.set(handle.name, how.by);
    this.#ghosts.delete(key);
    this.#storedAtMs.set(key, this.#queue.nowMs);
    const lagMs = this.#drawLagMs();
    if (lagMs > 0) this.#missingUntilMs.set(key, this.#queue.nowMs + lagMs);
    this.watch({ kind: 'put', type: handle.type, name: handle.name, by: how.by });
  }

  get(handle: FileHandle): Uint8Array<ArrayBuffer> {
    const bytes = this.files.get(memoryKey(handle));
    if (!bytes) throw new HoldfastError('FILE_NOT_FOUND');
    return bytes;
  }

  remove(handle: FileHandle, by: string): void {
    const key = memoryKey(handle);
    const bytes = this.get(handle);
    this.files.delete(key);
    this.#lockOwners.delete(handle.name);
    const { nowMs } = this.#queue;
    const lagMs = this.#drawLagMs();
    if (lagMs > 0) {
      this.#ghosts.set(key, { untilMs: nowMs + lagMs, sizeBytes: bytes.byteLength });
    }
    if (handle.type === 'pack' || handle.type === 'lock') {
      this.#removals.push({ key, bytes, atMs: nowMs });
    }
    this.watch({ kind: 'remove', type: handle.type, name: handle.name, by });
  }

  /** @param notice hears of what is not as it should be */
  list(
    type: FileType,
    notice: (what: 'listingLacked' | 'listingGhost', name: string) => void = () => {},
  ): FileStat[] {
    const prefix = `${type}/`;
    const found: FileStat[] = [];
    for (const [key, { byteLength }] of this.files) {
      if (!key.startsWith(prefix)) continue;
      if (this.#isMissing(key)) {
        this.#reach('listingLacked');
        notice('listingLacked', key.slice(prefix.length));
        continue;
      }
      found.push({ name: key.slice(prefix.length), sizeBytes: byteLength });
    }
    for (const [key, { untilMs, sizeBytes }] of this.#ghosts) {
      if (untilMs < this.#queue.nowMs) this.#ghosts.delete(key);
      else if (key.startsWith(prefix)) {
        this.#reach('listingGhost');
        notice('listingGhost', key.slice(prefix.length));
        found.push({ name: key.slice(prefix.length), sizeBytes });
      }
    }
    return found;
  }

  /** The names that are really there. */
  namesOf(type: FileType): string[] {
    const prefix = `${type}/`;
    const keys = [...this.files.keys()].filter((key) => key.startsWith(prefix));
    return keys.map((key) => key.slice(prefix.length));
  }

  /** The same part of the file of its type that comes next by name, as of a read that went astray; undefined if there is none. */
  partOfAnother(
    { type, name }: FileHandle,
    range?: { readonly start: number; readonly end: number },
  ): Uint8Array<ArrayBuffer> | undefined {
    const names = this.namesOf(type).toSorted();
    const next = names[(names.indexOf(name) + 1) % names.length];
    if (type === 'config' || next === undefined || next === name) return undefined;
    const bytes = this.get({ type, name: next });
    if (!range) return bytes.slice();
    return range.end <= bytes.byteLength ? bytes.slice(range.start, range.end) : undefined;
  }

  /** Who stored the lock; undefined if it is not there. */
  lockOwner(name: string): string | undefined {
    return this.#lockOwners.get(name);
  }

  /** Somebody was told that a lock is removed, and it is still there: it is nobody's. */
  disown(name: string): void {
    this.#lockOwners.delete(name);
  }

  /** True if a lock of this process is there. */
  hasLockOf(owner: string): boolean {
    for (const each of this.#lockOwners.values()) if (each === owner) return true;
    return false;
  }

  /** Everything that is stored, to go back to. */
  copy(): ReadonlyMap<string, Uint8Array<ArrayBuffer>> {
    return new Map(this.files);
  }

  /** The storage is as it was; nobody is told, and nothing of what was on its way arrives. */
  goBack(to: ReadonlyMap<string, Uint8Array<ArrayBuffer>>): void {
    this.files.clear();
    for (const [key, bytes] of to) this.files.set(key, bytes);
    for (const name of this.#lockOwners.keys()) {
      if (!this.files.has(`lock/${name}`)) this.#lockOwners.delete(name);
    }
    this.#missingUntilMs.clear();
    this.#ghosts.clear();
    this.#removals = [];
    this.#storedAtMs.clear();
  }

  /** Damages a file. A flip is not seen but by reading. */
  damage(handle: FileHandle, kind: DamageKind): void {
    const key = memoryKey(handle);
    const bytes = this.get(handle).slice();
    const at = this.#random.below(bytes.byteLength);
    if (kind === 'loss') this.files.delete(key);
    else if (kind === 'cut') this.files.set(key, bytes.slice(0, at));
    else {
      bytes[at] = (bytes[at] ?? 0) ^ (1 << this.#random.below(8));
      this.files.set(key, bytes);
    }
    const visibleSinceMs = kind === 'flip' ? undefined : this.#queue.nowMs;
    const { type, name } = handle;
    this.#damaged.add(type);
    this.damageCount++;
    this.watch({ kind: 'damage', type, name, by: 'the storage', visibleSinceMs });
  }

  /** Whether a file of this type was damaged, and nobody has mended that yet. */
  isDamaged(type: FileType): boolean {
    return this.#damaged.has(type);
  }

  /** What was damaged is mended, but for packs that a power cut brought back meanwhile. */
  mended(): void {
    this.#damaged.clear();
    const isDamaged = (name: string): boolean =>
      !this.#tornNames.includes(name) && toHex(sha256(this.get({ type: 'pack', name }))) !== name;
    if (this.namesOf('pack').some(isDamaged)) this.#damaged.add('pack');
  }

  /** Names of files of which a power cut left a part. */
  get tornNames(): readonly string[] {
    return this.#tornNames;
  }

  /** The machine of the storage loses power: removals of packs and locks that are not durable may be undone. */
  cutPower(): number {
    for (const put of this.unfinished) this.#tear(put);
    const sinceMs = this.#queue.nowMs - removalSettlesMs;
    const undone = this.#removals.filter(({ atMs }) => atMs >= sinceMs && this.#random.chance(0.5));
    this.#removals = [];
    if (this.#traits.losesStored) this.#loseStored(sinceMs);
    for (const { key, bytes } of undone) {
      if (this.files.has(key)) continue;
      this.files.set(key, bytes);
      const [type, name] = key.split('/') as [FileType, string];
      // It may have been removed since it was damaged.
      if (type === 'pack' && toHex(sha256(bytes)) !== name) this.#damaged.add(type);
      this.watch({ kind: 'put', type, name, by: 'power cut' });
    }
    if (undone.length > 0) this.#reach('powerUndone');
    return undone.length;
  }

  /** A part of a file that was on its way is stored under its name: cut at a sector, and some of them lost. */
  #tear({ handle, bytes }: UnfinishedPut): void {
    const key = memoryKey(handle);
    if (!tearable.has(handle.type) || this.files.has(key)) return;
    const sectorCount = Math.ceil(bytes.byteLength / sectorSizeBytes);
    // Always shorter: what keeps its size and its header is taken for whole by who does not read it.
    const torn = bytes.slice(0, sectorSizeBytes * this.#random.below(sectorCount));
    for (let at = 0; at < torn.byteLength; at += sectorSizeBytes) {
      if (this.#random.oneIn(4)) torn.fill(0, at, at + sectorSizeBytes);
    }
    if (torn.byteLength === bytes.byteLength && torn.every((byte, at) => byte === bytes[at]))
      return;
    this.files.set(key, torn);
    this.#tornNames.push(handle.name);
    this.#reach('powerTorn');
    this.watch({ kind: 'put', type: handle.type, name: handle.name, by: 'power cut' });
  }

  #loseStored(sinceMs: number): void {
    for (const [key, atMs] of this.#storedAtMs) {
      if (atMs < sinceMs || !this.files.delete(key)) continue;
      const [type, name] = key.split('/') as [FileType, string];
      this.watch({ kind: 'remove', type, name, by: 'power cut' });
    }
  }

  /** From now on listings are right. */
  settle(): void {
    this.#traits = { ...this.#traits, listingLagMsMax: 0 };
    this.#missingUntilMs.clear();
    this.#ghosts.clear();
  }

  #drawLagMs(): number {
    const { listingLagMsMax } = this.#traits;
    return listingLagMsMax > 0 && this.#random.chance(0.5)
      ? this.#random.below(listingLagMsMax)
      : 0;
  }

  #isMissing(key: string): boolean {
    const untilMs = this.#missingUntilMs.get(key);
    if (untilMs === undefined) return false;
    if (untilMs >= this.#queue.nowMs) return true;
    this.#missingUntilMs.delete(key);
    return false;
  }
}
