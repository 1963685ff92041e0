import { idSizeBytes } from '../../repository/id.ts';
import { assert } from '../../base/assert.ts';
import type { BlobType } from '../../repository/blob.ts';
import type { TreeNode } from '../../repository/tree.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';

/** The ids of the data blobs of a file; none for anything else. */
export function* contentIds({
  content = new Uint8Array(0),
}: Pick<TreeNode, 'content'>): Generator<Uint8Array, void, void> {
  for (let at = 0; at < content.byteLength; at += idSizeBytes) {
    yield content.subarray(at, at + idSizeBytes);
  }
}

/** Blobs that a node refers to against its type: as data they may be of use, so nobody who deletes passes over them. */
export function* strayBlobs({
  stray,
}: Pick<TreeNode, 'stray'>): Generator<{ readonly type: BlobType; readonly id: Uint8Array }> {
  if (!stray) return;
  if (stray.subtree) yield { type: 'tree', id: stray.subtree };
  for (const id of contentIds(stray)) yield { type: 'data', id };
}

/**
 * Up to eight marks for every blob of an index, one byte a blob: a set of ten million blobs takes 10 MB. A blob with
 * several copies has its marks at the first entry.
 */
export class BlobMarks {
  readonly #index: BlobIndex;
  #marks: Uint8Array;

  constructor(index: BlobIndex) {
    this.#index = index;
    this.#marks = new Uint8Array(index.blobCount);
  }

  /**
   * Marks a blob.
   * @param mark a power of two below 256
   * @returns whether it had the mark before; undefined if the blob is not in the index
   */
  add(type: BlobType, id: Uint8Array, mark: number): boolean | undefined {
    const entry = this.#index.find(type, id);
    return entry < 0 ? undefined : this.addTo(entry, mark);
  }

  /** Marks `entry`, the first of its blob. @returns whether it had the mark before */
  addTo(entry: number, mark: number): boolean {
    if (entry >= this.#marks.byteLength) this.#grow();
    assert(entry < this.#marks.byteLength, 'a blob that is marked is in the index');
    const before = this.#marks[entry] ?? 0;
    this.#marks[entry] = before | mark;
    return (before & mark) !== 0;
  }

  /** Whether the blob of `entry`, any of its copies, has the mark. */
  has(entry: number, mark: number): boolean {
    return ((this.#marks[this.#index.firstOf(entry)] ?? 0) & mark) !== 0;
  }

  #grow(): void {
    const larger = new Uint8Array(this.#index.blobCount);
    larger.set(this.#marks);
    this.#marks = larger;
  }

  /** All blobs with any mark: entry and marks. */
  *marked(): Generator<{ readonly entry: number; readonly marks: number }> {
    for (let entry = 0; entry < this.#marks.byteLength; entry++) {
      const marks = this.#marks[entry] ?? 0;
      if (marks !== 0) yield { entry, marks };
    }
  }
}
