import { readdirSync } from 'node:fs';
import { isHoldfastError } from '../../base/errors.ts';
import { sortByName } from '../sort-names.ts';
import { noAttributes, type ScannedEntry, type ScanOptions } from '../system-calls.ts';
import { fromNodeError } from '../system-error.ts';
import { pathOf } from './paths.ts';
import { statusPortable } from './status.ts';

/** Names in the directory, in its own order. */
export function listPortable(directory: number): Uint8Array<ArrayBuffer>[] {
  try {
    const names = readdirSync(pathOf(directory), { encoding: 'buffer' });
    return names.map((name) => Uint8Array.from(name));
  } catch (error) {
    throw fromNodeError({ call: 'readdir', place: directory }, error);
  }
}

/** Every entry with its status; see `scanDirectory`. */
export function scanPortable(directory: number, options: ScanOptions): ScannedEntry[] {
  return sortByName(scanNamesPortable(directory, listPortable(directory), options));
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
