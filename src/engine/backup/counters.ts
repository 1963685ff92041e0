import type { AddedData } from '../packs/chunk-sink.ts';

/** How an entry compares with the parent snapshot. */
export type Change = 'new' | 'changed' | 'unmodified';

/** Running numbers of one backup. Sizes in bytes. */
export class Counters {
  readonly files: Record<Change, number> = { new: 0, changed: 0, unmodified: 0 };
  readonly directories: Record<Change, number> = { new: 0, changed: 0, unmodified: 0 };
  dataBlobs = 0;
  treeBlobs = 0;
  /** Plain bytes of new blobs. */
  addedBytes = 0;
  /** Bytes that new blobs take in packs, with their header entries. */
  addedStoredBytes = 0;
  /** Bytes of all files, read or reused. */
  processedBytes = 0;

  get filesProcessed(): number {
    return this.files.new + this.files.changed + this.files.unmodified;
  }

  add(type: 'data' | 'tree', added: AddedData): void {
    if (type === 'data') this.dataBlobs += added.blobCount;
    else this.treeBlobs += added.blobCount;
    this.addedBytes += added.plainBytes;
    this.addedStoredBytes += added.storedBytes;
  }

  countFile(change: Change, sizeBytes: number): void {
    this.countFiles(change, 1, sizeBytes);
  }

  /** @param sizeBytes of all of them */
  countFiles(change: Change, count: number, sizeBytes: number): void {
    this.files[change] += count;
    this.processedBytes += sizeBytes;
  }
}
