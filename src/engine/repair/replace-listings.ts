import { defined } from '../../base/assert.ts';
import { equalBytes, fromHex } from '../../base/bytes.ts';
import { isHoldfastError } from '../../base/errors.ts';
import type { Id } from '../../repository/id.ts';
import { rewriteIndex } from '../../repository/index-rewrite.ts';
import type { IndexWriter } from '../../repository/index-writer.ts';
import type { PackedBlob, PackedBlobs } from '../../repository/pack.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CallOptions } from '../../storage/backend.ts';
import type { PackOrder } from '../check/pack-order.ts';
import type { IndexListing } from './index-listing.ts';

/** What of the index may not stay. */
export interface ReplacedListings {
  readonly damagedFiles: IndexListing['damagedFiles'];
  /** Packs of which no listing of an old file may stay, and what is listed of them instead; undefined: nothing. */
  readonly replaced: ReadonlyMap<Id, PackedBlobs | undefined>;
}

/**
 * Stores what is left to store of the index, confirmed, and only then removes the files that are out of date, and those
 * that are damaged. Until then every listing stands in some file; a run that is stopped is repeated.
 */
export async function replaceListings(
  { repository, writer }: { readonly repository: Repository; readonly writer: IndexWriter },
  { damagedFiles, replaced }: ReplacedListings,
  options: CallOptions,
): Promise<{ readonly newFiles: readonly Id[]; readonly removedFiles: readonly Id[] }> {
  await writer.flush();
  const dropped = new Set(damagedFiles.map(({ id }) => id));
  if (replaced.size === 0 && dropped.size === 0) {
    return { newFiles: writer.savedIds, removedFiles: [] };
  }
  const added = [...replaced].flatMap(([id, blobs]) =>
    blobs ? [{ id: defined(fromHex(id), 'a pack id is hex'), blobs }] : [],
  );
  const change = { removed: new Set(replaced.keys()), added, dropped, keepsSmall: true };
  const { stored, removed } = await rewriteIndex(repository, change, options);
  return {
    newFiles: [...writer.savedIds, ...stored],
    removedFiles: removed.filter((id) => !dropped.has(id)),
  };
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
