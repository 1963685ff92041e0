import { isHoldfastError } from '../../base/errors.ts';
import type { PackedBlob } from '../../repository/blob.ts';
import type { Id } from '../../repository/id.ts';
import { type PackedBlobs, readPackedBlobs } from '../../repository/pack.ts';
import type { Repository } from '../../repository/repository.ts';
import type { CallOptions } from '../../storage/backend.ts';
import { type PackRemains, readHeader, readPack, readRemains } from '../packs/read-pack.ts';

/** Larger packs are read blob by blob: several are in memory at a time. */
const readAtOnceBytesMax = 128 << 20;

/** What a pack holds by its header, and how much of that is true. */
export interface HeldBlobs {
  readonly header: PackedBlobs;
  /** What of it can be read; absent if it was not looked at, or the content of the file is what its name says. */
  readonly remains?: PackRemains;
}

/**
 * Reads a pack whole: a header says what was written, not what of it is still there.
 * @throws PACK_DAMAGED if it has no header that can be read; FILE_NOT_FOUND; what the storage throws when it cannot read that
 */
export async function readHeldBlobs(
  repository: Repository,
  pack: { readonly id: Id; readonly sizeBytes: number },
  options: CallOptions,
): Promise<HeldBlobs> {
  const bytes = await readWhole(repository, pack, options);
  if (bytes) return { header: readPackedBlobs(bytes, repository.sealer) };
  const header = await readHeader(repository, pack, options);
  const remains = await readRemains(repository, { id: pack.id, blobs: header }, options);
  return remains.sound.length === header.count && pack.sizeBytes > readAtOnceBytesMax
    ? { header }
    : { header, remains };
}

/** The bytes of a pack; undefined if they are not what its name says, or the storage cannot read all of them. */
async function readWhole(
  repository: Repository,
  { id, sizeBytes }: { readonly id: Id; readonly sizeBytes: number },
  options: CallOptions,
): Promise<Uint8Array | undefined> {
  if (sizeBytes > readAtOnceBytesMax) return undefined;
  try {
    const read = await readPack(repository, id, options);
    return read?.isWhole ? read.bytes : undefined;
  } catch (error) {
    // What it can read is asked for piece by piece.
    if (!isHoldfastError(error, 'BACKEND_READ_FAILED', 'PACK_DAMAGED')) throw error;
    return undefined;
  }
}

/** Of blobs that the storage does not give at the moment, those that a listing has: they stay in it. */
export function listedOf(
  unread: readonly PackedBlob[],
  listed: readonly PackedBlob[],
): PackedBlob[] {
  const places = new Set(listed.map(({ offset, length }) => `${offset} ${length}`));
  return unread.filter(({ offset, length }) => places.has(`${offset} ${length}`));
}
