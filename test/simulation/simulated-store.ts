import { concatBytes } from '../../src/base/bytes.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import type { FileHandle, FileStat, FileType } from '../../src/storage/backend.ts';
import { memoryKey, type MemoryFiles } from '../../src/storage/memory/memory-backend.ts';
import type { EventQueue } from './event-queue.ts';
import type { Seeded } from './seeded.ts';

/** What was changed, for who watches. */
export interface StoreChange {
  readonly kind: 'put' | 'remove';
  readonly type: FileType;
  readonly name: string;
  /** Who asked for it; the storage itself after a power cut. */
  readonly by: string;
}

export interface StoreTraits {
  /** For so long a listing may lack a new file, or show one that was removed; 0: listings are right. */
  readonly listingLagMsMax: number;
  /** A power cut undoes what was stored just before: no storage that may be used does so. */
  readonly losesStored: boolean;
}

/** A removal of a pack or lock may be undone by a power cut for so long. */
const removalSettlesMs = 60_000;

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
  watch: (change: StoreChange) => void = () => {};

  constructor(
    name: string,
    parts: { readonly queue: EventQueue; readonly random: Seeded; readonly traits: StoreTraits },
  ) {
    this.name = name;
    this.#queue = parts.queue;
    this.#random = parts.random;
    this.#traits = parts.traits;
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

  list(type: FileType): FileStat[] {
    const prefix = `${type}/`;
    const found: FileStat[] = [];
    for (const [key, { byteLength }] of this.files) {
      if (!key.startsWith(prefix) || this.#isMissing(key)) continue;
      found.push({ name: key.slice(prefix.length), sizeBytes: byteLength });
    }
    for (const [key, { untilMs, sizeBytes }] of this.#ghosts) {
      if (untilMs < this.#queue.nowMs) this.#ghosts.delete(key);
      else if (key.startsWith(prefix)) found.push({ name: key.slice(prefix.length), sizeBytes });
    }
    return found;
  }

  /** The names that are really there. */
  namesOf(type: FileType): string[] {
    const prefix = `${type}/`;
    const keys = [...this.files.keys()].filter((key) => key.startsWith(prefix));
    return keys.map((key) => key.slice(prefix.length));
  }

  /** The machine of the storage loses power: removals of packs and locks that are not durable may be undone. */
  cutPower(): number {
    const sinceMs = this.#queue.nowMs - removalSettlesMs;
    const undone = this.#removals.filter(({ atMs }) => atMs >= sinceMs && this.#random.chance(0.5));
    this.#removals = [];
    if (this.#traits.losesStored) this.#loseStored(sinceMs);
    for (const { key, bytes } of undone) {
      if (this.files.has(key)) continue;
      this.files.set(key, bytes);
      const [type, name] = key.split('/') as [FileType, string];
      this.watch({ kind: 'put', type, name, by: 'power cut' });
    }
    return undone.length;
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
