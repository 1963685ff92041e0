/** One request's share of a file's content. */
export interface Piece {
  /** Where it stands in the file, in bytes. */
  readonly offset: number;
  /** In order; nothing is copied. */
  readonly parts: readonly Uint8Array[];
}

/** Cuts content into pieces of `sizeBytes`, the last one shorter. No content, no pieces. */
export function* joinPieces(
  parts: readonly Uint8Array[],
  sizeBytes: number,
): Generator<Piece, void, undefined> {
  let offset = 0;
  let piece: Uint8Array[] = [];
  let left = sizeBytes;
  for (const part of parts) {
    for (let start = 0; start < part.byteLength; ) {
      const taken = part.subarray(start, start + left);
      piece.push(taken);
      start += taken.byteLength;
      left -= taken.byteLength;
      if (left > 0) continue;
      yield { offset, parts: piece };
      offset += sizeBytes;
      piece = [];
      left = sizeBytes;
    }
  }
  if (piece.length > 0) yield { offset, parts: piece };
}
