import type { ByteRange } from '../storage/backend.ts';

/**
 * Reads the header `Range` of a request for a file.
 *
 * @returns the range; `whole` if there is none, or one that may be passed over (several ranges, another unit, nonsense);
 *   `none` if the file has no byte of it
 * @see RFC 9110, section 14.2
 */
export function parseRange(
  header: string | undefined,
  sizeBytes: number,
): ByteRange | 'whole' | 'none' {
  const found = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? '');
  // Clients ask for `bytes=0-` of files that turn out to be empty: they mean all of it.
  if (!found || sizeBytes === 0) return 'whole';
  const [first = '', last = ''] = found.slice(1);
  if (first === '') {
    if (last === '') return 'whole';
    const count = Number(last);
    return count === 0 ? 'none' : { start: Math.max(0, sizeBytes - count), end: sizeBytes };
  }
  const start = Number(first);
  const end = last === '' ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (last !== '' && Number(last) < start) return 'whole';
  return start >= sizeBytes ? 'none' : { start, end };
}
