import { releaseBuffer } from '../base/release.ts';
import { compressBound, type Compressor } from '../kernels/zstd.ts';
import type { BlobScratch } from './blob-scratch.ts';

/** What compressing needs; one set per thread. */
export interface PieceTools {
  readonly compressor: Compressor;
  readonly compressed: BlobScratch;
}

/**
 * A blob that comes in pieces, each compressed to a zstd frame of its own, so that neither writing nor reading needs
 * the whole. Frames that follow one another are one content for every reader (RFC 8878, section 3.1).
 */
export class BlobPieces {
  readonly #tools: PieceTools;
  readonly isCompressed: boolean;
  #pieces: Uint8Array<ArrayBuffer>[] = [];
  #plainSizeBytes = 0;

  /** @param isCompressed false for a repository of version 1 */
  constructor(tools: PieceTools, isCompressed: boolean) {
    this.#tools = tools;
    this.isCompressed = isCompressed;
  }

  /** Bytes of all pieces. */
  get plainSizeBytes(): number {
    return this.#plainSizeBytes;
  }

  /** Adds the next bytes, which are used during the call only. */
  add(plain: Uint8Array): void {
    this.#plainSizeBytes += plain.byteLength;
    if (!this.isCompressed) {
      this.#pieces.push(Uint8Array.from(plain));
      return;
    }
    const target = this.#tools.compressed.take(compressBound(plain.byteLength));
    const size = this.#tools.compressor.compress(plain, target);
    this.#pieces.push(target.slice(0, size));
  }

  /** All pieces as they are stored; they are let go. */
  join(): Uint8Array<ArrayBuffer> {
    const pieces = this.#pieces;
    this.#pieces = [];
    const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.byteLength;
      releaseBuffer(piece.buffer);
    }
    return whole;
  }
}
