import { equalBytes } from '../../base/bytes.ts';
import type { PackedBlob, PackedBlobs } from '../../repository/pack.ts';

/** Whether the header of a pack and a listing of it by offset hold the same. */
export function isSameListing(header: PackedBlobs, listed: readonly PackedBlob[]): boolean {
  return header.count === listed.length && !differingBlob(header, listed);
}

/** The first blob of a header that a listing of as many, by offset, has otherwise. */
export function differingBlob(
  header: PackedBlobs,
  listed: readonly PackedBlob[],
): PackedBlob | undefined {
  for (const [number, blob] of listed.entries()) {
    const own = header.at(number);
    const isSame =
      own.offset === blob.offset &&
      own.length === blob.length &&
      own.uncompressedLength === blob.uncompressedLength &&
      own.type === blob.type &&
      equalBytes(own.id, blob.id);
    if (!isSame) return own;
  }
  return undefined;
}
