import { forEachConcurrent } from '../../base/concurrency.ts';
import { type HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import type { Id } from '../../repository/id.ts';
import { DecodedIndex } from '../../repository/index-decoded.ts';
import { decodeIndex } from '../../repository/index-file.ts';
import type { PackMark } from '../../repository/pack-marks.ts';
import type { Repository } from '../../repository/repository.ts';
import type { EngineContext } from '../context.ts';

/** An index file that can be read. */
export interface ListedIndexFile {
  readonly id: Id;
  /** Numbers in the common index of the packs that it lists. */
  readonly packs: Uint32Array;
}

/** What all index files say, and which says what. */
export interface IndexListing {
  readonly index: BlobIndex;
  readonly files: readonly ListedIndexFile[];
  /** Files that hold no index, however often they are read. */
  readonly damagedFiles: readonly { readonly id: Id; readonly error: HoldfastError }[];
  /** Numbers of packs that several files list with other blobs: `index` has them all. */
  readonly conflictingPacks: ReadonlySet<number>;
  /** Packs that some prune means to delete later: no file needs to list them. */
  readonly markedPacks: ReadonlySet<Id>;
}

/**
 * Loads every index file straight from the repository.
 * @throws what the storage throws when it cannot read: only a file that was read counts as damaged
 */
export async function loadIndexListing(
  repository: Repository,
  { signal, environment }: EngineContext,
): Promise<IndexListing> {
  const { backend, config } = repository;
  const index = BlobIndex.create({ random: environment.random });
  const decoded = new DecodedIndex();
  const files: ListedIndexFile[] = [];
  const damagedFiles: { id: Id; error: HoldfastError }[] = [];
  const conflictingPacks = new Set<number>();
  const markedPacks = new Set<Id>();
  const onMark = (mark: PackMark): void => void markedPacks.add(mark.id);
  const names = backend.list('index', { signal });
  await forEachConcurrent(names, backend.connectionCount, async ({ name: id }) => {
    try {
      const json = await repository.loadUnpacked('index', id, { signal });
      decoded.clear();
      decodeIndex(json, decoded, { version: config.version, onMark });
      files.push({ id, packs: addPacks(index, decoded, conflictingPacks) });
    } catch (error) {
      // Removed since it was listed: what it said stands in another file by now.
      if (isHoldfastError(error, 'FILE_NOT_FOUND')) return;
      if (!isHoldfastError(error, 'INDEX_DAMAGED', 'UNPACKED_DAMAGED')) throw error;
      damagedFiles.push({ id, error });
    }
  });
  return { index, files, damagedFiles, conflictingPacks, markedPacks };
}

function addPacks(index: BlobIndex, decoded: DecodedIndex, conflicting: Set<number>): Uint32Array {
  const packs = new Uint32Array(decoded.packCount);
  for (let listed = 0; listed < decoded.packCount; listed++) {
    const id = decoded.packId(listed);
    const outcome = index.addListedPack(id, decoded.recordsOf(listed));
    const pack = index.findPack(id);
    packs[listed] = pack;
    if (outcome === 'conflicting') conflicting.add(pack);
  }
  return packs;
}
