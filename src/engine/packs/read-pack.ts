import { toHex } from '../../base/bytes.ts';
import { HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { sha256 } from '../../kernels/sha256.ts';
import { BlobIndex } from '../../repository/blob-index.ts';
import type { PackedBlob } from '../../repository/blob.ts';
import { type Id, idBytes } from '../../repository/id.ts';
import { IndexedRepository } from '../../repository/indexed.ts';
import { loadPackHeader, PackedBlobs, readPackedBlobs } from '../../repository/pack.ts';
import { readings, readUntilSound } from '../../repository/readings.ts';
import type { Repository } from '../../repository/repository.ts';
import { treeInPiecesSizeBytesMin } from '../../repository/tree-bytes.ts';
import type { ByteRange, CallOptions } from '../../storage/backend.ts';
import { statPack } from './stat-pack.ts';

/**
 * The blobs of a pack by its own header, read again if need be.
 * @throws PACK_DAMAGED; FILE_NOT_FOUND; what the storage throws when it cannot read
 */
export async function readHeader(
  repository: Repository,
  pack: { readonly id: Id; readonly sizeBytes: number },
  { signal }: CallOptions,
): Promise<PackedBlobs> {
  const read = ({ fresh }: { readonly fresh: boolean }): Promise<PackedBlobs> => {
    const handle = { type: 'pack', name: pack.id } as const;
    const get = (range: ByteRange): Promise<Uint8Array> =>
      repository.backend.get(handle, range, { signal, fresh });
    return loadPackHeader(get, pack.sizeBytes, repository.sealer);
  };
  return readUntilSound(read, (error) =>
    isHoldfastError(error, 'PACK_DAMAGED', 'RANGE_NOT_SATISFIABLE'),
  );
}

/** What is left of the blobs that a pack should hold, each by offset. */
export interface PackRemains {
  /** Opened and hashed just now. */
  readonly sound: readonly PackedBlob[];
  /** The storage could not read them this time: they may be sound. */
  readonly unread: readonly PackedBlob[];
  /** Not in the file, or not what their ids say. */
  readonly lost: readonly PackedBlob[];
}

/**
 * Reads blobs from one pack and from no other.
 * @param blobs where they should be, from the index or from a header
 */
export async function readRemains(
  repository: Repository,
  pack: { readonly id: Id; readonly blobs: PackedBlobs },
  options: CallOptions,
): Promise<PackRemains> {
  const index = BlobIndex.create({ random: repository.environment.random });
  const number = index.addPack(idBytes(pack.id));
  const entries: number[] = [];
  for (const blob of pack.blobs.iterate()) {
    entries.push(index.insert(blob.type, blob.id, { ...blob, pack: number }));
  }
  const indexed = new IndexedRepository(repository, index);
  const remains = { sound: new Set<number>(), unread: new Set<number>() };
  for await (const loaded of indexed.loadBlobsOfPack(number, entries, options)) {
    const error = 'error' in loaded ? await troubleOf(indexed, loaded, options) : undefined;
    if (error === undefined) remains.sound.add(loaded.entry);
    else if (!isHoldfastError(error, 'BLOB_DAMAGED')) remains.unread.add(loaded.entry);
  }
  const { sound, unread } = remains;
  const blobsOf = (isWanted: (entry: number) => boolean): PackedBlob[] =>
    entries.filter(isWanted).map((entry) => index.blobOf(entry));
  return {
    sound: blobsOf((entry) => sound.has(entry)),
    unread: blobsOf((entry) => unread.has(entry)),
    lost: blobsOf((entry) => !sound.has(entry) && !unread.has(entry)),
  };
}

/** The trouble of a blob; undefined if it is a tree too large to be opened at once, and sound. */
async function troubleOf(
  indexed: IndexedRepository,
  { entry, error }: { readonly entry: number; readonly error: unknown },
  options: CallOptions,
): Promise<unknown> {
  const { index } = indexed;
  const isLargeTree =
    index.typeOf(entry) === 'tree' && index.uncompressedLengthOf(entry) > treeInPiecesSizeBytesMin;
  if (!isLargeTree) return error;
  try {
    await indexed.openTree(index.idOf(entry), options);
    return undefined;
  } catch (cause) {
    return cause;
  }
}

/** A pack as the storage gives it. */
export interface ReadPack {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Its content is what its name says. */
  readonly isWhole: boolean;
}

/** Larger files are no packs: those of any program have some hundred MiB at most. */
export const packSizeBytesMax: number = 1 << 30;

/**
 * Reads a pack whole, again if its content does not fit its name: bytes are also lost on the way.
 * @returns undefined if there is no such file
 * @throws PACK_DAMAGED for a file that is far too large; what the storage throws when it cannot read
 */
export async function readPack(
  repository: Repository,
  id: Id,
  options: CallOptions,
): Promise<ReadPack | undefined> {
  const sizeBytes = await statPack(repository, id, options);
  if (sizeBytes === undefined) return undefined;
  if (sizeBytes > packSizeBytesMax) {
    throw new HoldfastError('PACK_DAMAGED', {
      message: 'a file in the place of a pack is far too large',
      details: { packId: id, sizeBytes },
    });
  }
  const handle = { type: 'pack', name: id } as const;
  let read: ReadPack | undefined;
  for (const _ of readings) {
    // Whatever a cache has of it: what is stored counts here.
    const bytes = await repository.backend.get(handle, undefined, { ...options, fresh: true });
    read = { bytes, isWhole: toHex(sha256(bytes)) === id };
    if (read.isWhole) break;
  }
  return read;
}

/** The blobs that the header of a pack in memory lists; none if it cannot be read. */
export function headerBlobs(repository: Repository, bytes: Uint8Array): PackedBlob[] {
  try {
    return [...readPackedBlobs(bytes, repository.sealer).iterate()];
  } catch (error) {
    if (!isHoldfastError(error, 'PACK_DAMAGED')) throw error;
    return [];
  }
}
