import { type HoldfastError, isHoldfastError, systemCode } from '../../base/errors.ts';
import { toHex } from '../../base/bytes.ts';
import {
  readExtendedAttributes,
  removeExtendedAttribute,
  setExtendedAttribute,
  setMode,
  setOwner,
  setTimes,
} from '../../platform/attributes.ts';
import type { EntryPlace } from '../../platform/place.ts';
import type { Metadata } from './messages.ts';

const ownershipBits = 0o6000;

/**
 * Gives an item its owner, extended attributes, times and permissions, in this order: a new owner
 * clears setuid and capabilities, and every other change moves the times.
 *
 * Goes on after a failure. Setuid and setgid are left off where the owner could not be set: the
 * program would run as somebody else.
 * @param isLink links have no permissions of their own
 * @returns what could not be set
 */
export function applyMetadata(
  place: number | EntryPlace,
  metadata: Metadata,
  isLink: boolean,
): HoldfastError[] {
  const failures: HoldfastError[] = [];
  const attempt = (action: () => void): boolean => {
    try {
      action();
      return true;
    } catch (error) {
      if (!isHoldfastError(error) || isHoldfastError(error, 'ASSERTION_FAILED')) throw error;
      failures.push(error);
      return false;
    }
  };
  const isOwned = attempt(() => setOwner(place, { uid: metadata.uid, gid: metadata.gid }));
  for (const attribute of metadata.attributes) {
    attempt(() => setExtendedAttribute(place, attribute));
  }
  if (metadata.clearsAttributes) attempt(() => clearOtherAttributes(place, metadata));
  const mode = isOwned ? metadata.mode : metadata.mode & ~ownershipBits;
  if (!isLink) attempt(() => setMode(place, mode));
  attempt(() => setTimes(place, { mtime: metadata.mtime, atime: metadata.atime }));
  return failures;
}

/** Removes attributes that the snapshot does not have, such as an inherited default ACL. */
function clearOtherAttributes(place: number | EntryPlace, { attributes }: Metadata): void {
  const wanted = new Set(attributes.map(({ name }) => toHex(name)));
  for (const { name } of readExtendedAttributes(place, { onProblem: () => {} })) {
    if (wanted.has(toHex(name))) continue;
    try {
      removeExtendedAttribute(place, name);
    } catch (error) {
      // Labels of a security module belong to the machine, not to the file: they may refuse to go.
      const code = systemCode(error instanceof Error ? error.cause : undefined);
      const isLabel = Buffer.from(name).toString('latin1').startsWith('security.');
      if (!isLabel && code !== 'ENODATA' && code !== 'ENOTSUP') throw error;
    }
  }
}
