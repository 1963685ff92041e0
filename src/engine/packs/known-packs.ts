import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { idBytes } from '../../repository/id.ts';
import { loadIndexFiles, loadMarks } from '../../repository/index-load.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import type { PackMark } from '../../repository/pack-marks.ts';
import type { CallOptions } from '../../storage/backend.ts';
import type { EngineContext } from '../context.ts';
import { missingPacks } from './stored-packs.ts';

/** Times that files with marks may be replaced while they are read. */
const markTriesMax = 5;

/**
 * An index without the packs that are not stored any more or are cut short, or are marked as to be deleted, so that what is added leans on
 * nothing that is lost or soon will be, and stores such data again.
 *
 * A pack that the listing lacks is asked for by name before it counts as missing. Entries of this run
 * must not be in the index yet.
 * @returns `indexed` itself if it is as it should be
 */
export async function reliablePacks(
  indexed: IndexedRepository,
  context: EngineContext,
): Promise<IndexedRepository> {
  const missing = await missingPacks(indexed, context);
  if (missing.size > 0) tellMissing(missing.size, context);
  const left = new Set([...missing, ...(await markedPacks(indexed, context))]);
  return withoutPacks(indexed, left, context);
}

function tellMissing(count: number, { monitor }: EngineContext): void {
  const error = new HoldfastError('PACK_DAMAGED', {
    message:
      'packs that the index lists are missing or cut short: what they held is stored again where the source still has it, ' +
      'but older snapshots are damaged',
    details: { count },
  });
  monitor.problem({ item: '', during: 'scan', error });
}

/**
 * Packs of the index that nothing new is to lean on: those that `missingPacks` finds, and those that are marked. Only packs
 * that the index had when it was loaded, and of this run those that are stored, may be in it.
 */
export async function unreliablePacks(
  indexed: IndexedRepository,
  options: CallOptions,
): Promise<Set<number>> {
  const missing = await missingPacks(indexed, options);
  return new Set([...missing, ...(await markedPacks(indexed, options))]);
}

/**
 * Packs that are marked. A mark without blobs is of a pack that no index file listed, and void once one does. If a prune
 * replaces the files with marks meanwhile, those packs are left out as well that it took from the index.
 */
export async function markedPacks(
  { repository, index, files }: IndexedRepository,
  { signal }: CallOptions,
): Promise<Set<number>> {
  const packs = new Set<number>();
  let { markNames } = files;
  for (let tries = 1; ; tries++) {
    try {
      const onMark = ({ id, blobs }: PackMark): void => {
        const pack = blobs.count > 0 ? index.findPack(idBytes(id)) : -1;
        if (pack >= 0) packs.add(pack);
      };
      await loadMarks(repository, markNames, { signal, onMark });
      return packs;
    } catch (error) {
      if (!isHoldfastError(error, 'FILE_NOT_FOUND') || tries === markTriesMax) throw error;
    }
    // A file that cannot be read was told of when the index was loaded: its packs are left out here.
    const now = await loadIndexFiles(repository, { signal, onProblem: () => undefined });
    ({ markNames } = now);
    for (let pack = 0; pack < index.packCount; pack++) {
      if (now.index.findPack(index.packId(pack)) < 0) packs.add(pack);
    }
  }
}

/** The index without some of its packs; `indexed` itself if there are none. */
export function withoutPacks(
  indexed: IndexedRepository,
  left: ReadonlySet<number>,
  context: EngineContext,
): IndexedRepository {
  if (left.size === 0) return indexed;
  const { repository, index, files } = indexed;
  const sound = BlobIndex.create({ random: context.environment.random });
  for (let entry = 0; entry < index.blobCount; entry++) {
    if (left.has(index.packOf(entry))) continue;
    sound.insert(index.typeOf(entry), index.idOf(entry), {
      pack: sound.addPack(index.packId(index.packOf(entry))),
      offset: index.offsetOf(entry),
      length: index.lengthOf(entry),
      uncompressedLength: index.uncompressedLengthOf(entry),
    });
  }
  return new IndexedRepository(repository, sound, files);
}
