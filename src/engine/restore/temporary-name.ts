import { concatBytes, toHex, utf8 } from '../../base/bytes.ts';
import { type Random, randomBelow } from '../../base/random.ts';
import { sha256 } from '../../kernels/sha256.ts';

const prefix = utf8('.holdfast-');
const nameSizeBytes = 39;

/** What has a temporary name: a part of a new file, or a file that was there before and is half updated. */
export type TemporaryKind = 'part' | 'half';

/**
 * The name under which a file is written until it is whole. It follows from the final name, so that a
 * later run finds what an interrupted one left.
 * @param salt another one gives another name, for directories whose own names collide with these
 */
export function temporaryName(
  name: Uint8Array,
  salt: number,
  kind: TemporaryKind = 'part',
): Uint8Array<ArrayBuffer> {
  const salted = salt === 0 ? name : concatBytes([name, utf8(`/${salt}`)]);
  return utf8(`.holdfast-${toHex(sha256(salted).subarray(0, 12))}.${kind}`);
}

/** True for a name that `temporaryName` may have given. */
export function isTemporaryName(name: Uint8Array): boolean {
  if (name.byteLength !== nameSizeBytes) return false;
  for (let i = 0; i < prefix.byteLength; i++) if (name[i] !== prefix[i]) return false;
  return /^[.]holdfast-[0-9a-f]{24}[.](part|half)$/.test(Buffer.from(name).toString('latin1'));
}

/** True for the temporary name of a file that was there before a restore: what it holds may be nowhere else. */
export function isHalfName(name: Uint8Array): boolean {
  return isTemporaryName(name) && name.at(-1) === 0x66;
}

/** A salt that nobody else has: never 0. */
export function freshSalt(random: Random): number {
  return 1 + randomBelow(random, 2 ** 31);
}

/**
 * A salt for the temporary names in a directory that holds `names`: a snapshot may hold what an
 * interrupted restore left, and a hostile one every name that can be foreseen.
 */
export function saltFor(names: Iterable<Uint8Array>, random: Random): number {
  for (const name of names) {
    if (isTemporaryName(name)) return freshSalt(random);
  }
  return 0;
}
