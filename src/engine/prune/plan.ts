import { toHex } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import type { Id } from '../../repository/id.ts';
import type { PrunePolicy, PruneStatistics, UnlistedPack, UnusedLimit } from './options.ts';
import { packKind, type PackUsage } from './pack-usage.ts';

/** Fewer packs below the target size are left as they are. */
const smallPacksMin = 10;
/** Below this size a pack is small, whatever the others have. */
const smallPackBytesMin: number = 4 << 20;

/** What is to become of every pack of the index. */
export interface PackPlan {
  /** Numbers of packs without a used blob. */
  readonly remove: readonly number[];
  /** Numbers of packs whose used blobs are stored anew. */
  readonly repack: readonly number[];
  /** Packs that are listed and not needed, but gone: only the index is to change. */
  readonly missing: readonly number[];
  /** Pack files that no index file lists. */
  readonly unlisted: readonly UnlistedPack[];
  readonly statistics: PruneStatistics;
}

/** What is known before the decision. */
export interface PlanInput {
  readonly index: BlobIndex;
  readonly usage: PackUsage;
  /** Sizes of all stored packs by id. */
  readonly stored: ReadonlyMap<Id, number>;
  /** Pack files that no index file lists. */
  readonly unlisted: readonly UnlistedPack[];
  /** Packs that are left out. */
  readonly isPassedOver: (pack: number) => boolean;
  readonly version: 1 | 2;
  /** Counted already: what `PackUsage.of` fills in. */
  readonly statistics: PruneStatistics;
}

/** Statistics before anything is counted. */
export function emptyStatistics(): PruneStatistics {
  return {
    blobs: { used: 0, duplicate: 0, unused: 0, remove: 0, repack: 0, repackRemove: 0 },
    size: {
      used: 0,
      duplicate: 0,
      unused: 0,
      remove: 0,
      repack: 0,
      repackRemove: 0,
      unreferenced: 0,
      uncompressed: 0,
    },
    packs: {
      used: 0,
      unused: 0,
      partlyUsed: 0,
      unreferenced: 0,
      keep: 0,
      repack: 0,
      remove: 0,
    },
  };
}

/**
 * Decides which packs go, which are stored anew, and which stay.
 * @throws PACK_DAMAGED for packs that are needed and have another size than the index says, or are missing
 * @see docs/FORMAT.md#prune
 */
export function planPacks(input: PlanInput, policy: PrunePolicy): PackPlan {
  return new Planner(input, policy).plan();
}

class Planner {
  readonly #input: PlanInput;
  readonly #policy: PrunePolicy;
  readonly #smallBytes: number;
  readonly #remove: number[] = [];
  readonly #repack: number[] = [];
  readonly #missing: number[] = [];
  readonly #needed: Id[] = [];
  readonly #candidates: number[] = [];
  readonly #small: number[] = [];

  constructor(input: PlanInput, policy: PrunePolicy) {
    this.#input = input;
    this.#policy = policy;
    this.#smallBytes = policy.repackSmallerThanBytes || smallPackBytes([...input.stored.values()]);
  }

  plan(): PackPlan {
    const { index, isPassedOver, statistics, version, unlisted } = this.#input;
    for (const { sizeBytes } of unlisted) statistics.size.unreferenced += sizeBytes;
    statistics.packs.unreferenced = unlisted.length;
    for (let pack = 0; pack < index.packCount; pack++) {
      if (!isPassedOver(pack)) this.#sort(pack);
    }
    if (this.#needed.length > 0) throw missingPacks(this.#needed);
    if (this.#small.length < smallPacksMin) statistics.packs.keep += this.#small.length;
    else for (const pack of this.#small) this.#candidates.push(pack);
    this.#chooseRepacked();
    if (version === 1) statistics.size.uncompressed = 0;
    statistics.packs.repack = this.#repack.length;
    statistics.packs.remove = this.#remove.length;
    const [remove, repack, missing] = [this.#remove, this.#repack, this.#missing];
    return { remove, repack, missing, unlisted, statistics };
  }

  /** Decides what can be decided by the pack alone. */
  #sort(pack: number): void {
    const { index, usage, stored, statistics } = this.#input;
    const id = toHex(index.packId(pack));
    const sizeBytes = stored.get(id);
    const [used, unused] = [usage.usedBlobs[pack]!, usage.unusedBlobs[pack]!];
    if (used > 0 && sizeBytes === undefined) {
      this.#needed.push(id);
      return;
    }
    const listedBytes = usage.sizeBytesOf(pack);
    if (used > 0 && sizeBytes !== listedBytes) throw wrongSize(id, sizeBytes ?? 0, listedBytes);
    if (used === 0) {
      statistics.blobs.remove += unused;
      statistics.size.remove += usage.unusedSizeBytes[pack]!;
      (sizeBytes === undefined ? this.#missing : this.#remove).push(pack);
      if (sizeBytes === undefined) return;
      statistics.packs.unused++;
    } else if (unused === 0) statistics.packs.used++;
    else statistics.packs.partlyUsed++;
    if (usage.uncompressed[pack] === 1) statistics.size.uncompressed += listedBytes;
    if (used === 0) return;
    const kind = usage.kinds[pack];
    if (this.#policy.repackCacheableOnly && kind === packKind.data) statistics.packs.keep++;
    else if (unused > 0 || kind === packKind.mixed || this.#mustCompress(pack)) {
      this.#candidates.push(pack);
    } else if (listedBytes >= this.#smallBytes) statistics.packs.keep++;
    else this.#small.push(pack);
  }

  #mustCompress(pack: number): boolean {
    const { usage, version } = this.#input;
    const isWanted = usage.kinds[pack] === packKind.tree || this.#policy.repackUncompressed;
    return version === 2 && isWanted === true && usage.uncompressed[pack] === 1;
  }

  #chooseRepacked(): void {
    const { usage, statistics } = this.#input;
    const { blobs, size, packs } = statistics;
    const limit = maxUnusedBytes(this.#policy.maxUnused, size.used);
    const repackMax = this.#policy.maxRepackBytes ?? Number.POSITIVE_INFINITY;
    for (const pack of this.#candidates.sort((a, b) => this.#compare(a, b))) {
      const bytes = usage.sizeBytesOf(pack);
      const left = size.duplicate + size.unused - size.remove - size.repackRemove;
      const isForced = usage.kinds[pack] !== packKind.data || this.#mustCompress(pack);
      const isGoodEnough = left < limit && bytes >= this.#smallBytes;
      if (size.repack + bytes >= repackMax || (!isForced && isGoodEnough)) {
        packs.keep++;
        continue;
      }
      this.#repack.push(pack);
      blobs.repack += usage.unusedBlobs[pack]! + usage.usedBlobs[pack]!;
      size.repack += bytes;
      blobs.repackRemove += usage.unusedBlobs[pack]!;
      size.repackRemove += usage.unusedSizeBytes[pack]!;
      if (usage.uncompressed[pack] === 1) size.uncompressed -= bytes;
    }
  }

  /** What is not file contents first, then small packs, then those with the largest share of unused bytes. */
  #compare(a: number, b: number): number {
    const { usage } = this.#input;
    const isData = (pack: number): number => Number(usage.kinds[pack] === packKind.data);
    const isLarge = (pack: number): number => Number(usage.sizeBytesOf(pack) >= this.#smallBytes);
    const byShare =
      usage.unusedSizeBytes[b]! * usage.usedSizeBytes[a]! -
      usage.unusedSizeBytes[a]! * usage.usedSizeBytes[b]!;
    return isData(a) - isData(b) || isLarge(a) - isLarge(b) || byShare || a - b;
  }
}

/** Size from which on a pack is not small: four fifths of that of the smallest ones, those of a few bytes left out. */
export function smallPackBytes(sizes: readonly number[]): number {
  const sorted = sizes.toSorted((a, b) => a - b);
  const low = sorted[Math.floor((sorted.length * 3) / 100)] ?? 0;
  return (Math.max(smallPackBytesMin, low) / 5) * 4;
}

function maxUnusedBytes(limit: UnusedLimit, usedBytes: number): number {
  if (limit.kind === 'unlimited') return Number.POSITIVE_INFINITY;
  if (limit.kind === 'size') return limit.sizeBytes;
  return (limit.percent / (100 - limit.percent)) * usedBytes;
}

function missingPacks(ids: readonly Id[]): HoldfastError {
  return new HoldfastError('PACK_DAMAGED', {
    message: `${ids.length} packs that are needed are missing from the repository`,
    details: { packs: ids.slice(0, 10).join(' '), count: ids.length },
    hint: 'Nothing was changed. Run "holdfast check", then "holdfast repair index".',
  });
}

function wrongSize(id: Id, sizeBytes: number, listedBytes: number): HoldfastError {
  return new HoldfastError('PACK_DAMAGED', {
    message: 'a pack that is needed has another size than the index says',
    details: { pack: id, sizeBytes, listedSizeBytes: listedBytes },
    hint: 'Nothing was changed. Run "holdfast repair index".',
  });
}
