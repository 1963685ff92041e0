import { idSizeBytes } from '../../repository/id.ts';
import { throwIfAborted } from '../../base/abort.ts';
import { toHex } from '../../base/bytes.ts';
import { HoldfastError } from '../../base/errors.ts';
import type { IndexedRepository } from '../../repository/indexed.ts';

/** Blobs that are read ahead: a blob has 8 MiB at most, so this bounds memory to 64 MiB. */
const readAheadCount = 8;

/**
 * Size of the content that the blobs make up.
 * @throws BLOB_NOT_FOUND if one is not in the index
 */
export function contentSizeBytes(indexed: IndexedRepository, content: Uint8Array): number {
  const { index } = indexed;
  let sizeBytes = 0;
  for (let at = 0; at < content.byteLength; at += idSizeBytes) {
    const entry = index.find('data', content, at);
    if (entry < 0) {
      const blob = toHex(content.subarray(at, at + idSizeBytes));
      throw new HoldfastError('BLOB_NOT_FOUND', { details: { type: 'data', blob } });
    }
    sizeBytes += index.plainSizeOf(entry);
  }
  return sizeBytes;
}

/** Numbers of the packs that the blobs are read from first; of those that no index file lists none. */
export function dataPacksOf({ index }: IndexedRepository, content: Uint8Array): Set<number> {
  const packs = new Set<number>();
  for (let at = 0; at < content.byteLength; at += idSizeBytes) {
    const entry = index.find('data', content, at);
    if (entry >= 0) packs.add(index.packOf(entry));
  }
  return packs;
}

/**
 * Reads the content of a file, blob by blob in order, some ahead.
 *
 * @param content ids of its blobs, 32 bytes each
 * @throws BLOB_NOT_FOUND, BLOB_DAMAGED, CANCELLED: what was given before is right, but not all
 */
export async function* readContent(
  indexed: IndexedRepository,
  content: Uint8Array,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  const ahead: Promise<Uint8Array>[] = [];
  let next = 0;
  const fill = (): void => {
    for (; ahead.length < readAheadCount && next < content.byteLength; next += idSizeBytes) {
      const id = content.subarray(next, next + idSizeBytes);
      const blob = indexed.loadBlob('data', id, { signal });
      // Its failure is met when its turn comes, which an early end leaves out.
      blob.catch(() => undefined);
      ahead.push(blob);
    }
  };
  fill();
  for (let blob = ahead.shift(); blob; blob = ahead.shift()) {
    throwIfAborted(signal);
    const bytes = await blob;
    fill();
    yield bytes;
  }
}
