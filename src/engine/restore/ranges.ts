import { defined } from '../../base/assert.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { sealOverheadBytes } from '../../kernels/seal.ts';
import { compressBound } from '../../kernels/zstd.ts';
import { dataSizeBytesMax } from '../../repository/blob-open.ts';
import { planPackReads } from '../../repository/indexed-reads.ts';

/** Where the bytes of one blob go: which file of the batch, and where in it. */
export interface WantedTarget {
  readonly file: number;
  readonly offset: number;
}

/** A blob and all places it is needed at. */
export interface WantedBlob {
  readonly entry: number;
  readonly targets: WantedTarget[];
}

/** A stretch of one pack that is read at once. */
export interface PackRange {
  readonly pack: number;
  readonly start: number;
  readonly end: number;
  readonly blobs: readonly WantedBlob[];
}

/** False if the index declares a size that no data blob may have: it is not even read. */
export function isReadable(index: BlobIndex, entry: number): boolean {
  const sealedMax = compressBound(dataSizeBytesMax) + sealOverheadBytes;
  return index.lengthOf(entry) <= sealedMax && index.plainSizeOf(entry) <= dataSizeBytesMax;
}

/** Collects wanted blobs and groups them into few reads. */
export class WantedBlobs {
  readonly #index: BlobIndex;
  readonly #byPack = new Map<number, Map<number, WantedBlob>>();

  constructor(index: BlobIndex) {
    this.#index = index;
  }

  add(entry: number, target: WantedTarget): void {
    const pack = this.#index.packOf(entry);
    let blobs = this.#byPack.get(pack);
    if (!blobs) this.#byPack.set(pack, (blobs = new Map()));
    const blob = blobs.get(entry);
    if (blob) blob.targets.push(target);
    else blobs.set(entry, { entry, targets: [target] });
  }

  /** All that was added, as reads: by pack, then by offset. @param sizeBytesMax size of a read that takes no further blob */
  ranges(sizeBytesMax?: number): PackRange[] {
    const ranges: PackRange[] = [];
    for (const [pack, blobs] of this.#byPack) {
      const reads = planPackReads(this.#index, blobs.keys(), sizeBytesMax);
      for (const { start, end, entries } of reads) {
        const wanted = Array.from(entries, (entry) =>
          defined(blobs.get(entry), 'a planned blob is wanted'),
        );
        ranges.push({ pack, start, end, blobs: wanted });
      }
    }
    return ranges;
  }
}
