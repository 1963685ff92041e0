import type { Monitor } from '../../base/monitor.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import type { PackOrder } from './pack-order.ts';
import type { AddedData } from './chunk-sink.ts';

/** How far a transfer is. Sizes are those that the blobs have where they are read. */
export interface TransferProgress {
  readonly blobsDone: number;
  readonly blobsTotal: number;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/** Hears how far a transfer is. */
export interface TransferMonitor extends Monitor {
  transferProgress?(progress: TransferProgress): void;
}

/** A blob that could not be read from any pack of the source. */
export interface FailedBlob {
  /** Entry of the source's index. */
  readonly entry: number;
  readonly error: unknown;
}

/** What a transfer did so far. */
export class TransferCounter {
  readonly failed: FailedBlob[] = [];
  readonly #index: BlobIndex;
  readonly #monitor: TransferMonitor;
  #progress: TransferProgress;
  #added = { blobCount: 0, plainSizeBytes: 0, storedSizeBytes: 0 };

  /** @param order all that is to be moved, of `index` */
  constructor(index: BlobIndex, order: PackOrder, monitor: TransferMonitor) {
    this.#index = index;
    this.#monitor = monitor;
    let blobsTotal = 0;
    let bytesTotal = 0;
    for (let pack = 0; pack < order.packCount; pack++) {
      for (const entry of order.entriesOf(pack)) {
        blobsTotal++;
        bytesTotal += index.lengthOf(entry);
      }
    }
    this.#progress = { blobsDone: 0, blobsTotal, bytesDone: 0, bytesTotal };
  }

  get progress(): TransferProgress {
    return this.#progress;
  }

  /** What was stored. */
  get added(): {
    readonly blobCount: number;
    readonly plainSizeBytes: number;
    readonly storedSizeBytes: number;
  } {
    return this.#added;
  }

  add({ blobCount, plainBytes, storedBytes }: AddedData): void {
    this.#added.blobCount += blobCount;
    this.#added.plainSizeBytes += plainBytes;
    this.#added.storedSizeBytes += storedBytes;
  }

  /** Entries that are done with, stored or not. */
  count(entries: Int32Array): void {
    let { blobsDone, bytesDone } = this.#progress;
    blobsDone += entries.length;
    for (const entry of entries) bytesDone += this.#index.lengthOf(entry);
    this.#progress = { ...this.#progress, blobsDone, bytesDone };
    this.#monitor.transferProgress?.(this.#progress);
  }
}
