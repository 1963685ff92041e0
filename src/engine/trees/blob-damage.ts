import { toHex } from '../../base/bytes.ts';
import type { BlobType } from '../../repository/blob.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';

/** What is known to be damaged of the blobs of a repository: one bit a copy, whatever the damage. */
export class BlobDamage {
  readonly #index: BlobIndex;
  /** Copies that cannot be read, by index entry. */
  readonly #copies: Uint8Array;
  /** Trees that can be read but are no trees, or have nodes that cannot be restored: hex ids. */
  readonly #faultyTrees = new Set<string>();
  #copyCount = 0;
  #missingCount = 0;

  constructor(index: BlobIndex) {
    this.#index = index;
    this.#copies = new Uint8Array(Math.ceil(index.blobCount / 8));
  }

  /** Nothing is damaged as far as is known. */
  get isNone(): boolean {
    return this.#copyCount + this.#missingCount + this.#faultyTrees.size === 0;
  }

  /** A blob is needed that no index lists. */
  addMissing(): void {
    this.#missingCount++;
  }

  /** The copy at `entry` cannot be read. */
  addCopy(entry: number): void {
    if (this.#isDamaged(entry)) return;
    this.#copyCount++;
    this.#copies[entry >> 3] = (this.#copies[entry >> 3] ?? 0) | (1 << (entry & 7));
  }

  /** A tree does not give all its nodes, though its bytes are those of its id. */
  addFaultyTree(id: Uint8Array): void {
    this.#faultyTrees.add(toHex(id));
  }

  isFaultyTree(id: Uint8Array): boolean {
    return this.#faultyTrees.has(toHex(id));
  }

  /** True if a blob cannot be read from any pack that an index lists. */
  isLost(type: BlobType, id: Uint8Array, idOffset = 0): boolean {
    const first = this.#index.find(type, id, idOffset);
    if (first < 0) return true;
    if (!this.#isDamaged(first)) return false;
    const copies = this.#index.findAll(type, id.subarray(idOffset, idOffset + 32));
    return copies.every((entry) => this.#isDamaged(entry));
  }

  #isDamaged(entry: number): boolean {
    return ((this.#copies[entry >> 3] ?? 0) & (1 << (entry & 7))) !== 0;
  }
}
