import { missingPacks } from '../packs/stored-packs.ts';
import { HoldfastError } from '../../base/errors.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import { idBytes } from '../../repository/id.ts';
import { loadMarks } from '../../repository/index-load.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import type { EngineContext } from '../context.ts';

/**
 * An index without the packs that are not stored any more or are cut short, or are marked as to be deleted, so that a backup leans on
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
  return left.size === 0 ? indexed : without(indexed, left, context);
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

/** Packs that are marked. A mark without blobs is of a pack that no index file listed, and void once one does. */
async function markedPacks(
  { repository, index, files }: IndexedRepository,
  { signal }: EngineContext,
): Promise<Set<number>> {
  const packs = new Set<number>();
  for (const { id, blobs } of (await loadMarks(repository, files.markNames, { signal })).values()) {
    const pack = blobs.count > 0 ? index.findPack(idBytes(id)) : -1;
    if (pack >= 0) packs.add(pack);
  }
  return packs;
}

function without(
  { repository, index, files }: IndexedRepository,
  left: ReadonlySet<number>,
  context: EngineContext,
): IndexedRepository {
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
