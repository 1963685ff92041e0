import { concatBytes } from '../../base/bytes.ts';
import { startSha256 } from '../../kernels/sha256.ts';
import { treeInPiecesSizeBytesMin, treePieceSizeBytes } from '../../repository/tree.ts';
import type { ClaimedBlob } from './messages.ts';
import type { Pipeline } from './pipeline.ts';
import type { AddedData } from '../packs/chunk-sink.ts';

/** What a stream of tree bytes needs of the backup. */
export interface TreeStreamParts {
  readonly pipeline: Pipeline;
  /** The index entry to store a tree under; -1 if it is known. */
  readonly claim: (id: Uint8Array) => number;
  /** Takes a whole tree that is to be stored. */
  readonly store: (tree: ClaimedBlob) => void;
  /** Hears what was added to the repository. */
  readonly added: (data: AddedData) => void;
}

/** What became of a tree. */
export interface StoredTree {
  readonly id: Uint8Array;
  /** Plain bytes that are new in the repository. */
  readonly addedBytes: number;
  /** What they take; absent for a tree that waits in a batch. */
  readonly storedBytes?: number;
}

let lastTree = 0;

/**
 * Stores a tree whose bytes come from start to end. One that becomes large goes to a worker piece by piece, so that
 * it is never in memory whole; each piece is awaited there before the next is filled.
 */
export class TreeStream {
  readonly #parts: TreeStreamParts;
  readonly #hash = startSha256();
  #piece = new Uint8Array(treePieceSizeBytes);
  #filled = 0;
  #sizeBytes = 0;
  /** Full pieces, while the tree may be small. */
  #kept: Uint8Array<ArrayBuffer>[] = [];
  /** Number of the tree, once its pieces are sent away. */
  #tree = 0;

  constructor(parts: TreeStreamParts) {
    this.#parts = parts;
  }

  /** Adds bytes, which are copied. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.byteLength; ) {
      const part = bytes.subarray(from, from + this.#piece.byteLength - this.#filled);
      this.#piece.set(part, this.#filled);
      this.#filled += part.byteLength;
      from += part.byteLength;
      if (this.#filled === this.#piece.byteLength) await this.#next();
    }
  }

  /** Ends the tree, and stores it unless it is known. */
  async end(): Promise<StoredTree> {
    const { claim, store } = this.#parts;
    const last = this.#piece.subarray(0, this.#filled);
    this.#hash.update(last);
    this.#sizeBytes += last.byteLength;
    const id = this.#hash.digest();
    const entry = claim(id);
    if (this.#tree > 0) {
      if (entry >= 0 && last.byteLength > 0) await this.#send(last.slice());
      const storedBytes = await this.#sendEnd(id, entry);
      return { id, addedBytes: entry < 0 ? 0 : this.#sizeBytes, storedBytes };
    }
    if (entry >= 0) store({ id, entry, bytes: concatBytes([...this.#kept, last]) });
    return { id, addedBytes: entry < 0 ? 0 : this.#sizeBytes };
  }

  /** A piece is full. */
  async #next(): Promise<void> {
    const piece = this.#piece;
    this.#hash.update(piece);
    this.#sizeBytes += piece.byteLength;
    this.#piece = new Uint8Array(treePieceSizeBytes);
    this.#filled = 0;
    this.#kept.push(piece);
    if (this.#tree === 0) {
      if (this.#sizeBytes < treeInPiecesSizeBytesMin) return;
      this.#tree = ++lastTree;
    }
    for (const full of this.#kept.splice(0)) await this.#send(full);
  }

  async #send(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { pipeline } = this.#parts;
    const request = { type: 'tree-piece', tree: this.#tree, bytes } as const;
    await pipeline.send(request, { worker: this.#worker(), transfer: [bytes.buffer] });
  }

  /** @returns the bytes that the tree takes */
  async #sendEnd(id: Uint8Array, entry: number): Promise<number> {
    const { pipeline, added } = this.#parts;
    const request = { type: 'tree-end', tree: this.#tree, id, entry } as const;
    const response = await pipeline.send(request, { worker: this.#worker() });
    added(response.added);
    return response.added.storedBytes;
  }

  #worker(): number {
    return this.#tree % this.#parts.pipeline.workerCount;
  }
}
