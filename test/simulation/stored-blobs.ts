import { zstdDecompressSync } from 'node:zlib';
import { toHex } from '../../src/base/bytes.ts';
import type { Sealer } from '../../src/kernels/seal.ts';
import { sha256 } from '../../src/kernels/sha256.ts';
import type { SimulatedStore } from './simulated-store.ts';

/** Where an index file says that a blob lies. */
interface BlobPlace {
  readonly index: string;
  readonly pack: string;
  readonly offset: number;
  readonly length: number;
  readonly isCompressed: boolean;
}

/** An index file, as far as it is looked at. */
export interface IndexDocument {
  readonly packs: readonly IndexedPack[];
  readonly packs_to_delete?: readonly { readonly id: string }[];
}

interface IndexedPack {
  readonly id: string;
  readonly blobs: readonly {
    readonly id: string;
    readonly type: string;
    readonly offset: number;
    readonly length: number;
    readonly uncompressed_length?: number;
  }[];
}

/** Opens a document of a repository of any version, with a decoder of its own. */
export function openDocument(sealer: Sealer, sealed: Uint8Array): unknown {
  const plain = sealer.open(sealed);
  const json = plain[0] === 2 ? zstdDecompressSync(plain.subarray(1)) : plain;
  return JSON.parse(Buffer.from(json).toString());
}

/** Which blobs can be had, by index files and packs that are there now: each is opened and hashed once. */
export class StoredBlobs {
  readonly #store: SimulatedStore;
  readonly #sealer: Sealer;
  /** By blob: `tree/0123…`. */
  readonly #places = new Map<string, BlobPlace[]>();
  /** By index file: the blobs that it lists. */
  readonly #listed = new Map<string, readonly string[]>();
  /** By pack: the blobs that were opened and hashed, with their places. */
  readonly #proven = new Map<string, Set<string>>();
  /** Of packs as they were stored. */
  readonly #sizes = new Map<string, number>();
  readonly #plain = new Map<string, Uint8Array>();
  /** By index file: the packs that it marks. */
  readonly #marks = new Map<string, readonly string[]>();

  constructor(store: SimulatedStore, sealer: Sealer) {
    this.#store = store;
    this.#sealer = sealer;
  }

  /** @returns the blobs that it lists */
  addIndex(name: string, { packs, packs_to_delete: marks = [] }: IndexDocument): readonly string[] {
    const keys: string[] = [];
    for (const { id: pack, blobs } of packs) {
      for (const { type, id, offset, length, uncompressed_length: plainLength = 0 } of blobs) {
        const key = `${type}/${id}`;
        keys.push(key);
        const places = this.#places.get(key);
        const place = { index: name, pack, offset, length, isCompressed: plainLength > 0 };
        if (places) places.push(place);
        else this.#places.set(key, [place]);
      }
    }
    this.#listed.set(name, keys);
    if (marks.length > 0) {
      this.#marks.set(
        name,
        marks.map(({ id }) => id),
      );
    }
    return keys;
  }

  /** @returns the blobs that it listed */
  removeIndex(name: string): readonly string[] {
    const keys = this.#listed.get(name) ?? [];
    for (const key of keys) {
      const left = this.#places.get(key)?.filter(({ index }) => index !== name);
      if (left) this.#places.set(key, left);
    }
    this.#listed.delete(name);
    this.#marks.delete(name);
    return keys;
  }

  /** The packs that an index file lists. */
  packsListedIn(name: string): Set<string> {
    const packs = new Set<string>();
    for (const key of this.#listed.get(name) ?? []) {
      for (const { index, pack } of this.#places.get(key) ?? [])
        if (index === name) packs.add(pack);
    }
    return packs;
  }

  /** Forgets everything but what blobs are. */
  clear(): void {
    for (const map of [this.#places, this.#listed, this.#proven, this.#marks]) map.clear();
  }

  /** Packs that are to be deleted. */
  markedPacks(): Set<string> {
    return new Set([...this.#marks.values()].flat());
  }

  /** Packs that index files say hold the blob. */
  packsOf(key: string): readonly string[] {
    return (this.#places.get(key) ?? []).map(({ pack }) => pack);
  }

  /** What is listed of a pack. */
  blobsIn(pack: string): string[] {
    const keys: string[] = [];
    for (const [key, places] of this.#places) {
      if (places.some((place) => place.pack === pack)) keys.push(key);
    }
    return keys;
  }

  /** The bytes of a pack are others: nothing is proven of it any more. */
  distrust(pack: string): void {
    this.#proven.delete(pack);
  }

  /** A pack was stored, with any bytes. */
  addPack(pack: string): void {
    this.distrust(pack);
    const bytes = this.#store.files.get(`pack/${pack}`);
    if (bytes && !this.#sizes.has(pack)) this.#sizes.set(pack, bytes.byteLength);
  }

  /** True if nobody needs to read a pack to see that the blob is lost: they are gone, or cut. */
  isVisiblyLost(key: string): boolean {
    const places = this.#places.get(key) ?? [];
    return places.every(({ pack }) => {
      const bytes = this.#store.files.get(`pack/${pack}`);
      return bytes?.byteLength !== this.#sizes.get(pack);
    });
  }

  /** True if the blob is stored somewhere, and whole. */
  has(key: string): boolean {
    return this.#places.get(key)?.some((place) => this.#isSound(key, place)) ?? false;
  }

  /** Undefined if it cannot be had. */
  read(key: string): Uint8Array | undefined {
    return this.has(key) ? this.#plain.get(key) : undefined;
  }

  /** Whether a pack holds a blob whole. */
  isSoundIn(pack: string, key: string): boolean {
    const places = this.#places.get(key) ?? [];
    return places.some((place) => place.pack === pack && this.#isSound(key, place));
  }

  #isSound(key: string, place: BlobPlace): boolean {
    const pack = this.#store.files.get(`pack/${place.pack}`);
    if (!pack) return false;
    const proof = `${place.offset}/${key}`;
    const proven = this.#proven.get(place.pack);
    if (proven?.has(proof)) return true;
    const plain = this.#open(pack, place);
    if (!plain || toHex(sha256(plain)) !== key.slice(key.indexOf('/') + 1)) return false;
    if (proven) proven.add(proof);
    else this.#proven.set(place.pack, new Set([proof]));
    this.#plain.set(key, plain);
    return true;
  }

  #open(pack: Uint8Array, { offset, length, isCompressed }: BlobPlace): Uint8Array | undefined {
    try {
      const opened = this.#sealer.open(pack.subarray(offset, offset + length));
      return isCompressed ? zstdDecompressSync(opened) : opened;
    } catch {
      return undefined;
    }
  }
}
