import { isHoldfastError } from '../../base/errors.ts';
import { type Id, idBytes } from '../../repository/id.ts';
import { rewriteIndex } from '../../repository/index-rewrite.ts';
import type { IndexWriter } from '../../repository/index-writer.ts';
import type { PackedBlobs } from '../../repository/pack.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CallOptions } from '../../storage/backend.ts';
import type { IndexListing } from './index-listing.ts';

/** What of the index may not stay. */
export interface ReplacedListings {
  readonly damagedFiles: IndexListing['damagedFiles'];
  /** Index files that were read: none of them is missed. */
  readonly files: IndexListing['files'];
  /** Packs of which no listing of an old file may stay, and what is listed of them instead; undefined: nothing. */
  readonly replaced: ReadonlyMap<Id, PackedBlobs | undefined>;
}

/**
 * Stores what is left to store of the index, confirmed, and only then removes the files that are out of date, and those
 * that are damaged. Until then every listing stands in some file; a run that is stopped is repeated.
 */
export async function replaceListings(
  { repository, writer }: { readonly repository: Repository; readonly writer: IndexWriter },
  { damagedFiles, files, replaced }: ReplacedListings,
  options: CallOptions,
): Promise<{ readonly newFiles: readonly Id[]; readonly removedFiles: readonly Id[] }> {
  await writer.flush();
  const dropped = new Set(damagedFiles.map(({ id }) => id));
  if (replaced.size === 0 && dropped.size === 0) {
    return { newFiles: writer.savedIds, removedFiles: [] };
  }
  const added = [...replaced].flatMap(([id, blobs]) => (blobs ? [{ id: idBytes(id), blobs }] : []));
  const known = [...files.map(({ id }) => id), ...dropped];
  const change = { removed: new Set(replaced.keys()), added, dropped, known, keepsSmall: true };
  const { stored, removed } = await rewriteIndex(repository, change, options);
  return {
    newFiles: [...writer.savedIds, ...stored],
    removedFiles: removed.filter((id) => !dropped.has(id)),
  };
}

/** Passes over the removal of what is not there. */
export function ignoreGone(error: unknown): void {
  if (!isHoldfastError(error, 'FILE_NOT_FOUND')) throw error;
}
