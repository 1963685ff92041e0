import { readdirSync } from 'node:fs';
import { isHoldfastError } from '../../base/errors.ts';
import { packStatus } from '../packed-scan.ts';
import { sortByName } from '../sort-names.ts';
import { PackedNames } from '../sorted-names.ts';
import {
  type EntryPacker,
  noAttributes,
  type ScannedEntry,
  type ScanOptions,
} from '../system-calls.ts';
import { fromNodeError } from '../system-error.ts';
import { readLinkPortable } from './files.ts';
import { pathOf } from './paths.ts';
import { statusPortable } from './status.ts';

/** Entries that are held with their status at once. */
const smallCountMax = 6000;

/** Names in the directory, in its own order. */
export function listPortable(directory: number): Uint8Array<ArrayBuffer>[] {
  try {
    const names = readdirSync(pathOf(directory), { encoding: 'buffer' });
    return names.map((name) => Uint8Array.from(name));
  } catch (error) {
    throw fromNodeError({ call: 'readdir', place: directory }, error);
  }
}

/** As `listPortable`, packed. */
export function listPackedPortable(directory: number): PackedNames {
  return packed(listPortable(directory));
}

/** Every entry with its status, or only the names if there are very many; see `scanOrList`. */
export function scanSmallPortable(
  directory: number,
  options: ScanOptions,
): ScannedEntry[] | PackedNames {
  const names = listPortable(directory);
  if (names.length > smallCountMax) return packed(names);
  return sortByName(scanNamesPortable(directory, names, options));
}

/** Packs every entry unless there are very many; see `packSmall`. */
export function packSmallPortable(directory: number, packer: EntryPacker): boolean {
  let isWhole = true;
  const onVanished = (): void => {
    isWhole = false;
  };
  const found = scanSmallPortable(directory, { onVanished });
  if (!Array.isArray(found) || !isWhole) return false;
  return found.every(({ name, status }) => {
    if (isHoldfastError(status)) return false;
    const place = { bytes: name, start: 0, end: name.length };
    if (!packer.add(place, (numbers, at) => packStatus(status, numbers, at))) return false;
    const linkTarget =
      status.kind === 'symlink' ? readLinkPortable({ directory, name }) : undefined;
    packer.addExtra({ attributes: noAttributes, linkTarget });
    return true;
  });
}

function packed(names: readonly Uint8Array[]): PackedNames {
  const result = new PackedNames();
  for (const name of names) result.add(name, 0, name.length);
  return result;
}

/** The named entries with their status; see `scanNames`. */
export function scanNamesPortable(
  directory: number,
  names: readonly Uint8Array<ArrayBuffer>[],
  options: ScanOptions,
): ScannedEntry[] {
  const entries: ScannedEntry[] = [];
  for (const name of names) {
    const status = statusOrError(directory, name);
    if (status === undefined) options.onVanished?.(name);
    else entries.push({ name, status, extendedAttributes: noAttributes });
  }
  return entries;
}

function statusOrError(directory: number, name: Uint8Array): ScannedEntry['status'] | undefined {
  try {
    return statusPortable({ directory, name }, false);
  } catch (error) {
    if (isHoldfastError(error)) return error;
    throw error;
  }
}
