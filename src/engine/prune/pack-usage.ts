import { releaseBuffer } from '../../base/release.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import { headerEntrySizeBytes, packOverheadBytes } from '../../repository/pack-header.ts';
import type { BlobMarks } from '../trees/blob-marks.ts';
import { usedMark } from '../trees/used-blobs.ts';
import type { PruneStatistics } from './options.ts';

/** Copies of a blob beyond which they are not counted. */
const copiesMax = 255;

/** What the blobs of a pack are. */
export const packKind = { none: 0, data: 1, tree: 2, mixed: 3 } as const;

/** What is known before packs are counted. */
export interface UsageRequest {
  /** Blobs that snapshots need, by `usedMark`. */
  readonly used: BlobMarks;
  /** Packs that shall not count, for one; every used blob must have a copy in another pack. */
  readonly isPassedOver: (pack: number) => boolean;
  /** Packs that are gone, and whose used blobs all have a copy in another pack: no copy of theirs counts as used. */
  readonly isReplaced: (pack: number) => boolean;
  /** Counted on. */
  readonly statistics: PruneStatistics;
}

/**
 * How much of each pack is used. Of a used blob with several copies exactly one counts as used: one in a pack that has
 * other used blobs, or nothing but copies, which is what an interrupted prune leaves; else the last one.
 *
 * Takes 40 bytes a pack, and a byte a blob until that is known.
 * @see docs/FORMAT.md#prune
 */
export class PackUsage {
  readonly #index: BlobIndex;
  /** Bytes of used blobs, and of the header: what the pack needs. */
  readonly usedSizeBytes: Float64Array;
  readonly unusedSizeBytes: Float64Array;
  readonly usedBlobs: Uint32Array;
  readonly unusedBlobs: Uint32Array;
  readonly #duplicateBlobs: Uint32Array;
  /** Values of `packKind`. */
  readonly kinds: Uint8Array;
  /** 1 for packs with a blob that is not compressed. */
  readonly uncompressed: Uint8Array;
  /** Only while they are counted. */
  readonly #copies: Uint8Array<ArrayBuffer>;

  private constructor(index: BlobIndex) {
    const { packCount } = index;
    this.#index = index;
    this.usedSizeBytes = new Float64Array(packCount);
    this.unusedSizeBytes = new Float64Array(packCount);
    this.usedBlobs = new Uint32Array(packCount);
    this.unusedBlobs = new Uint32Array(packCount);
    this.#duplicateBlobs = new Uint32Array(packCount);
    this.kinds = new Uint8Array(packCount);
    this.uncompressed = new Uint8Array(packCount);
    this.#copies = new Uint8Array(index.blobCount);
  }

  /** Counts how much of each pack is used. */
  static of(index: BlobIndex, request: UsageRequest): PackUsage {
    const usage = new PackUsage(index);
    usage.#countCopies(request);
    const hasDuplicates = usage.#countBlobs(request);
    if (hasDuplicates) usage.#choose(request);
    releaseBuffer(usage.#copies.buffer);
    return usage;
  }

  /** Bytes of the whole file, by the index. */
  sizeBytesOf(pack: number): number {
    return this.usedSizeBytes[pack]! + this.unusedSizeBytes[pack]!;
  }

  #countCopies({ used, isPassedOver, isReplaced }: UsageRequest): void {
    const index = this.#index;
    const copies = this.#copies;
    for (let entry = 0; entry < index.blobCount; entry++) {
      const first = index.firstOf(entry);
      const pack = index.packOf(entry);
      if (isPassedOver(pack) || isReplaced(pack) || !used.has(first, usedMark)) continue;
      if (copies[first]! < copiesMax) copies[first]!++;
    }
  }

  #countBlobs({ isPassedOver, isReplaced, statistics }: UsageRequest): boolean {
    const { blobs, size } = statistics;
    const index = this.#index;
    let hasDuplicates = false;
    for (let pack = 0; pack < index.packCount; pack++) this.usedSizeBytes[pack] = packOverheadBytes;
    for (let entry = 0; entry < index.blobCount; entry++) {
      const pack = index.packOf(entry);
      const length = index.lengthOf(entry);
      const uncompressedLength = index.uncompressedLengthOf(entry);
      this.usedSizeBytes[pack]! += headerEntrySizeBytes({ uncompressedLength });
      if (uncompressedLength === 0) this.uncompressed[pack] = 1;
      const kind = index.typeOf(entry) === 'tree' ? packKind.tree : packKind.data;
      const known = this.kinds[pack]!;
      this.kinds[pack] = known === packKind.none || known === kind ? kind : packKind.mixed;
      if (isPassedOver(pack)) continue;
      const copies = this.#copies[index.firstOf(entry)]!;
      const isCandidate = !isReplaced(pack);
      if (copies === 1 && isCandidate) {
        this.usedSizeBytes[pack]! += length;
        this.usedBlobs[pack]!++;
        size.used += length;
        blobs.used++;
        continue;
      }
      this.unusedSizeBytes[pack]! += length;
      this.unusedBlobs[pack]!++;
      if (copies === 0) {
        size.unused += length;
        blobs.unused++;
        continue;
      }
      hasDuplicates ||= isCandidate;
      this.#duplicateBlobs[pack]!++;
      size.duplicate += length;
      blobs.duplicate++;
    }
    return hasDuplicates;
  }

  /** Lets one copy of each blob that has several count as used. */
  #choose({ isPassedOver, isReplaced, statistics }: UsageRequest): void {
    const { blobs, size } = statistics;
    const index = this.#index;
    const copies = this.#copies;
    // One more than the copies that are left, so that 1 means that one was chosen, as for a blob with one copy.
    for (let entry = 0; entry < copies.length; entry++) {
      if (copies[entry]! > 1 && copies[entry]! < copiesMax) copies[entry]!++;
    }
    for (let entry = 0; entry < index.blobCount; entry++) {
      const pack = index.packOf(entry);
      const first = index.firstOf(entry);
      const left = copies[first]!;
      if (left < 2 || isPassedOver(pack) || isReplaced(pack)) continue;
      const isAllCopies = this.#duplicateBlobs[pack] === this.unusedBlobs[pack];
      if (this.usedBlobs[pack] === 0 && !isAllCopies && left > 2) {
        copies[first] = left - 1;
        continue;
      }
      const length = index.lengthOf(entry);
      this.usedSizeBytes[pack]! += length;
      this.usedBlobs[pack]!++;
      this.unusedSizeBytes[pack]! -= length;
      this.unusedBlobs[pack]!--;
      size.used += length;
      blobs.used++;
      size.duplicate -= length;
      blobs.duplicate--;
      copies[first] = 1;
    }
  }
}
