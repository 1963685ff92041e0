import { endsWork, HoldfastError, isHoldfastError, systemCode } from '../../base/errors.ts';
import { equalBytes, toHex } from '../../base/bytes.ts';
import {
  readExtendedAttributes,
  removeExtendedAttribute,
  setExtendedAttribute,
  setMode,
  setOwner,
  setTimes,
} from '../../platform/attributes.ts';
import { isElevated } from '../../platform/machine.ts';
import type { EntryPlace } from '../../platform/place.ts';
import type { Metadata } from './messages.ts';

/** Setuid and setgid. */
export const privilegeBits = 0o6000;

/** Calls that set owner and group, and nothing else. */
const ownerCalls: ReadonlySet<unknown> = new Set(['fchownat', 'chown']);

/** What gets metadata. */
export type MetadataKind = 'file' | 'directory' | 'link' | 'special';

/**
 * Gives an item its owner, extended attributes, permissions and times, in this order: a new owner
 * clears setuid and capabilities, and every other change moves the times.
 *
 * Goes on after a failure. Setuid and setgid are left off where the owner could not be set: the
 * program would run as somebody else. Of files only an administrator restores them at all.
 * @param kind links have no permissions of their own
 * @returns what could not be set
 */
export function applyMetadata(
  place: number | EntryPlace,
  metadata: Metadata,
  kind: MetadataKind,
): unknown[] {
  const failures: unknown[] = [];
  const attempt = (action: () => void): boolean => {
    try {
      action();
      return true;
    } catch (error) {
      if (endsWork(error)) throw error;
      failures.push(error);
      return false;
    }
  };
  const isOwned = attempt(() => setOwner(place, { uid: metadata.uid, gid: metadata.gid }));
  const present = metadata.clearsAttributes ? presentAttributes(place) : undefined;
  for (const attribute of metadata.attributes) {
    // Setting what is there already is refused on files that are read-only.
    const value = present?.get(toHex(attribute.name));
    if (value && equalBytes(value, attribute.value)) continue;
    attempt(() => setExtendedAttribute(place, attribute));
  }
  if (present && present.size > 0) {
    attempt(() => clearAttributes(place, { keep: metadata.attributes }));
  }
  const isPrivileged = kind === 'file' && (metadata.mode & privilegeBits) !== 0;
  const isRefused = isPrivileged && !(isOwned && isElevated());
  if (isRefused) failures.push(refusedError());
  const mode = isOwned && !isRefused ? metadata.mode : metadata.mode & ~privilegeBits;
  if (kind !== 'link') attempt(() => setMode(place, mode));
  attempt(() => setTimes(place, { mtime: metadata.mtime, atime: metadata.atime }));
  return failures;
}

/** True for the error of an owner or group that this process may not give: on most systems only root may. */
export function isOwnerRefused(error: unknown): boolean {
  if (!isHoldfastError(error, 'PERMISSION_DENIED')) return false;
  return ownerCalls.has(error.details['call']);
}

function refusedError(): HoldfastError {
  return new HoldfastError('PERMISSION_DENIED', {
    message: 'setuid and setgid are left off: only an administrator restores them',
  });
}

/** The attributes that can be read: value by name in hex. */
function presentAttributes(place: number | EntryPlace): Map<string, Uint8Array> {
  const present = readExtendedAttributes(place, { onProblem: () => {} });
  return new Map(present.map(({ name, value }) => [toHex(name), value]));
}

/** Removes attributes that are not to be kept, such as an inherited default ACL. */
export function clearAttributes(
  place: number | EntryPlace,
  options: {
    readonly keep: readonly { readonly name: Uint8Array }[];
    /** Absent: all others. */
    readonly isCleared?: (name: Uint8Array) => boolean;
  },
): void {
  const present = readExtendedAttributes(place, { onProblem: () => {} });
  if (present.length === 0) return;
  const kept = new Set(options.keep.map(({ name }) => toHex(name)));
  for (const { name } of present) {
    if (kept.has(toHex(name)) || options.isCleared?.(name) === false) continue;
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
