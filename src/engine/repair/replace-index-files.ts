import { equalBytes, toHex } from '../../base/bytes.ts';
import { isHoldfastError } from '../../base/errors.ts';
import type { Id } from '../../repository/id.ts';
import type { IndexWriter } from '../../repository/index-writer.ts';
import { type PackedBlob, PackedBlobs } from '../../repository/pack.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CallOptions } from '../../storage/backend.ts';
import type { PackOrder } from '../check/pack-order.ts';
import type { IndexListing } from './index-listing.ts';

/** The index as it was read, and what of it may not stay. */
export interface OutdatedIndex {
  readonly listing: IndexListing;
  readonly order: PackOrder;
  /** Numbers of packs of which no listing of an old file may stay. New listings of them are with the writer. */
  readonly replaced: ReadonlySet<number>;
}

/**
 * Stores what is left to store of an index, confirmed, and only then removes the files that are out of date, and
 * those that are damaged. Until then every listing stands in some file; a run that is stopped is repeated.
 */
export async function replaceIndexFiles(
  { repository, writer }: { readonly repository: Repository; readonly writer: IndexWriter },
  { listing, order, replaced }: OutdatedIndex,
  options: CallOptions,
): Promise<{ readonly newFiles: readonly Id[]; readonly removedFiles: readonly Id[] }> {
  const outdated = listing.files.filter(({ packs }) => packs.some((pack) => replaced.has(pack)));
  const kept = new Set<number>();
  for (const { packs } of outdated) {
    for (const pack of packs) if (!replaced.has(pack)) kept.add(pack);
  }
  for (const pack of kept) {
    const id = toHex(listing.index.packId(pack));
    await writer.add(id, PackedBlobs.from(listedBlobs(listing, order, pack)));
  }
  await writer.flush();
  const newFiles = [...writer.savedIds];
  const isNew = new Set(newFiles);
  const removedFiles = outdated.map(({ id }) => id).filter((id) => !isNew.has(id));
  for (const id of [...removedFiles, ...listing.damagedFiles.map((file) => file.id)]) {
    await repository.removeUnpacked('index', id, options).catch(ignoreGone);
  }
  return { newFiles, removedFiles };
}

/** The blobs of a pack as the index lists them, by offset. */
export function listedBlobs(
  { index }: Pick<IndexListing, 'index'>,
  order: PackOrder,
  pack: number,
): PackedBlob[] {
  return Array.from(order.entriesOf(pack), (entry) => ({
    type: index.typeOf(entry),
    id: index.idOf(entry),
    offset: index.offsetOf(entry),
    length: index.lengthOf(entry),
    uncompressedLength: index.uncompressedLengthOf(entry),
  }));
}

/** Whether a header and a listing by offset hold the same. */
export function isSameListing(header: PackedBlobs, listed: readonly PackedBlob[]): boolean {
  return (
    header.count === listed.length &&
    listed.every((blob, i) => {
      const own = header.at(i);
      return (
        own.offset === blob.offset &&
        own.length === blob.length &&
        own.uncompressedLength === blob.uncompressedLength &&
        own.type === blob.type &&
        equalBytes(own.id, blob.id)
      );
    })
  );
}

/** Passes over the removal of what is not there. */
export function ignoreGone(error: unknown): void {
  if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
}
