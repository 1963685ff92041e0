import { toHex } from '../../base/bytes.ts';
import { forEachConcurrent } from '../../base/concurrency.ts';
import type { BlobIndex } from '../../repository/blob-index.ts';
import type { Id } from '../../repository/id.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';
import { headerEntrySizeBytes, packSizeOf } from '../../repository/pack-header.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CallOptions } from '../../storage/backend.ts';
import { statPack } from './stat-pack.ts';

/** What a storage has in the place of packs. Sizes in bytes. */
export interface StoredPacks {
  /** By the number of a pack of the index; undefined for one that is not stored. */
  readonly sizes: readonly (number | undefined)[];
  /** Sizes that the packs have by the index, by number. */
  readonly expected: Float64Array;
  /** Packs that the index does not have, by id, as they were listed. */
  readonly others: ReadonlyMap<Id, number>;
}

/** What is known of listings that lag behind. */
export interface StoredPacksOptions extends CallOptions {
  /** Packs that the storage may list for a while though they were removed: they count as not stored. */
  readonly removed?: ReadonlySet<Id>;
}

/**
 * Finds out which packs are stored, and with what size. A listing may lag behind or be wrong: a pack of the index that
 * it lacks, or has in another size than by the index, is asked for by name, and that counts.
 * @throws what the storage throws when it cannot tell
 */
export async function storedPackSizes(
  repository: Repository,
  index: BlobIndex,
  { signal, removed }: StoredPacksOptions,
): Promise<StoredPacks> {
  const { backend } = repository;
  const others = new Map<Id, number>();
  for await (const { name, sizeBytes } of backend.list('pack', { signal })) {
    if (!removed?.has(name)) others.set(name, sizeBytes);
  }
  const expected = packSizes(index);
  const sizes: (number | undefined)[] = [];
  const doubtful: number[] = [];
  for (let pack = 0; pack < index.packCount; pack++) {
    const name = toHex(index.packId(pack));
    const size = others.get(name);
    others.delete(name);
    sizes.push(size);
    if (size !== expected[pack] && !removed?.has(name)) doubtful.push(pack);
  }
  await forEachConcurrent(doubtful, backend.connectionCount, async (pack) => {
    sizes[pack] = await statPack(repository, toHex(index.packId(pack)), { signal });
  });
  return { sizes, expected, others };
}

/**
 * Packs of the index that are not stored, or with another size than they have by the index: after a power cut a pack may
 * be empty or cut short.
 */
export async function missingPacks(
  { repository, index }: Pick<IndexedRepository, 'repository' | 'index'>,
  options: CallOptions,
): Promise<Set<number>> {
  const missing = new Set<number>();
  if (index.packCount === 0) return missing;
  const { sizes, expected } = await storedPackSizes(repository, index, options);
  for (const [pack, size] of sizes.entries()) if (size !== expected[pack]) missing.add(pack);
  return missing;
}

/** Size of each pack by the index, in bytes. */
function packSizes(index: BlobIndex): Float64Array {
  const sizes = new Float64Array(index.packCount).fill(packSizeOf([]));
  for (let entry = 0; entry < index.blobCount; entry++) {
    if (index.isPending(entry)) continue;
    const pack = index.packOf(entry);
    const uncompressedLength = index.uncompressedLengthOf(entry);
    const entryBytes = headerEntrySizeBytes({ uncompressedLength });
    sizes[pack] = (sizes[pack] ?? 0) + index.lengthOf(entry) + entryBytes;
  }
  return sizes;
}
