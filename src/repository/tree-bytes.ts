import { assert } from '../base/assert.ts';
import type { Decompressor } from '../kernels/zstd.ts';

/** Larger trees are stored, where we write them, in pieces that can be read one after the other. */
export const treeInPiecesSizeBytesMin: number = 16 << 20;
/** Plain bytes of one piece. */
export const treePieceSizeBytes: number = 8 << 20;

/** One piece of a tree that is kept compressed. */
export interface TreePiece {
  readonly compressed: Uint8Array;
  readonly sizeBytes: number;
}

/**
 * The bytes of a stored tree, to be read from start to end, any number of times.
 *
 * A large one is kept compressed where its form allows that, so that a directory of millions is never in memory whole.
 * Whoever makes one has proven that the bytes are those of the tree's id.
 */
export class TreeBytes {
  readonly sizeBytes: number;
  readonly #whole: Uint8Array | undefined;
  readonly #pieces: readonly TreePiece[];
  readonly #decompressor: Decompressor | undefined;

  private constructor(
    whole: Uint8Array | undefined,
    pieces: readonly TreePiece[],
    decompressor: Decompressor | undefined,
  ) {
    this.sizeBytes = pieces.reduce((sum, piece) => sum + piece.sizeBytes, whole?.byteLength ?? 0);
    this.#whole = whole;
    this.#pieces = pieces;
    this.#decompressor = decompressor;
  }

  static whole(bytes: Uint8Array): TreeBytes {
    return new TreeBytes(bytes, [], undefined);
  }

  static inPieces(pieces: readonly TreePiece[], decompressor: Decompressor): TreeBytes {
    return new TreeBytes(undefined, pieces, decompressor);
  }

  /** All bytes at once; undefined for a tree that is kept in pieces. */
  get whole(): Uint8Array | undefined {
    return this.#whole;
  }

  get pieceCount(): number {
    return this.#whole ? 1 : this.#pieces.length;
  }

  /** Bytes of a piece. */
  sizeOf(piece: number): number {
    return this.#whole?.byteLength ?? this.#pieces[piece]?.sizeBytes ?? 0;
  }

  /** Writes a piece to the start of `target`, which has room for it. @throws COMPRESSION_BROKEN */
  readPiece(piece: number, target: Uint8Array): void {
    if (this.#whole) {
      target.set(this.#whole);
      return;
    }
    const { compressed, sizeBytes } = this.#pieces[piece] ?? { compressed: none, sizeBytes: -1 };
    const written = this.#decompressor?.decompress(compressed, target.subarray(0, sizeBytes));
    assert(written === sizeBytes, 'a piece of a tree has the size that it had before');
  }
}

const none = new Uint8Array(0);

/** A view of a tree's bytes that moves from its start to its end. */
export class TreeWindow {
  readonly #tree: TreeBytes;
  #nextPiece = 0;
  #buffer: Uint8Array = none;
  /** What can be seen now. */
  bytes: Uint8Array = none;
  /** Offset of `bytes` in the tree. */
  start = 0;

  constructor(tree: TreeBytes) {
    this.#tree = tree;
    if (tree.whole === undefined) return;
    this.bytes = tree.whole;
    this.#nextPiece = 1;
  }

  /** Offset in the tree behind `bytes`. */
  get end(): number {
    return this.start + this.bytes.byteLength;
  }

  get isAtEnd(): boolean {
    return this.#nextPiece >= this.#tree.pieceCount;
  }

  /**
   * Makes the bytes from `offset` on visible: `sizeBytes` of them, or all that are left. What is before may go.
   * Views of `bytes` taken before show something else then.
   * @param offset not before `start`
   */
  reach(offset: number, sizeBytes: number): void {
    assert(offset >= this.start, 'a window moves forward');
    while (offset + sizeBytes > this.end && !this.isAtEnd) this.#move(offset);
  }

  /** Takes in one more piece. */
  #move(offset: number): void {
    const size = this.#tree.sizeOf(this.#nextPiece);
    const { end } = this;
    const keptFrom = Math.min(offset, end) - this.start;
    const keptSize = this.bytes.byteLength - keptFrom;
    if (keptSize + size > this.#buffer.byteLength) {
      const larger = new Uint8Array(2 * (keptSize + size));
      larger.set(this.bytes.subarray(keptFrom));
      this.#buffer = larger;
    } else this.#buffer.set(this.bytes.subarray(keptFrom));
    this.start = end - keptSize;
    this.bytes = this.#buffer.subarray(0, keptSize + size);
    this.#tree.readPiece(this.#nextPiece++, this.bytes.subarray(keptSize));
  }
}
