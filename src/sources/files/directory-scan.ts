import { compareBytes } from '../../base/bytes.ts';
import { type HoldfastError, isHoldfastError } from '../../base/errors.ts';
import { readExtendedAttributesAt } from '../../platform/attributes.ts';
import {
  listNames,
  type ScannedEntry,
  scanNames,
  type ScanOptions,
  scanOrList,
  SortedNames,
} from '../../platform/directory.ts';
import { readLinkAt } from '../../platform/files.ts';
import { readStatusAt } from '../../platform/status.ts';
import { type ByteText, byteTextOf } from './byte-text.ts';
import { readStart } from './read-start.ts';

/** What was read of a directory before anything is decided. */
export interface DirectoryScan {
  /** Sorted by name. */
  readonly entries: readonly ScannedEntry[];
  readonly vanished: readonly Uint8Array[];
  /** Attributes that could not be read, by entry. */
  readonly attributeProblems: ReadonlyMap<ByteText, readonly HoldfastError[]>;
  /** What a link of it holds, or why that cannot be told. */
  linkTarget(name: Uint8Array<ArrayBuffer>): Uint8Array | HoldfastError;
  /** The first bytes of a file of it. @throws FILE_NOT_FOUND and kin */
  start(name: Uint8Array, sizeBytes: number): Uint8Array;
}

/** Names that are not touched, with the error that each of them gets. */
export interface SilentNames {
  readonly names: ReadonlySet<ByteText>;
  readonly error: HoldfastError;
}

/** What of a directory decides on its tags. */
export interface TagPlace {
  find(name: Uint8Array): ScannedEntry | undefined;
  /** The first bytes of a file. @throws FILE_NOT_FOUND and kin */
  start(name: Uint8Array, sizeBytes: number): Uint8Array;
}

/**
 * Reads an opened directory: everything, or the names alone if it is large.
 * @throws SYSTEM_CALL_FAILED and kin if the directory cannot be listed
 */
export function scanNear(
  directory: number,
  silent: SilentNames | undefined,
): DirectoryScan | SortedNames {
  if (silent && silent.names.size > 0) return listNames(directory);
  const { options, ...heard } = hearing();
  const entries = scanOrList(directory, options);
  return entries instanceof SortedNames ? entries : near(directory, { ...heard, entries });
}

/** The entries of some names. */
export function scanSome(
  directory: number,
  names: readonly Uint8Array<ArrayBuffer>[],
  silent: SilentNames | undefined,
): DirectoryScan {
  if (silent && silent.names.size > 0) return near(directory, scanAround(directory, names, silent));
  const { options, ...heard } = hearing();
  return near(directory, { ...heard, entries: scanNames(directory, names, options) });
}

/** The entry of a name among sorted ones. */
export function findEntry(
  entries: readonly ScannedEntry[],
  name: Uint8Array,
): ScannedEntry | undefined {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = entries[middle];
    const order = entry ? compareBytes(entry.name, name) : 0;
    if (order === 0) return entry;
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return undefined;
}

type EntryScan = Pick<DirectoryScan, 'entries' | 'vanished' | 'attributeProblems'>;

function near(directory: number, scan: EntryScan): DirectoryScan {
  return {
    ...scan,
    linkTarget: (name) => tryReadLink(directory, name),
    start: (name, sizeBytes) => readStart({ directory, name }, sizeBytes),
  };
}

function hearing(): Omit<EntryScan, 'entries'> & { readonly options: ScanOptions } {
  const vanished: Uint8Array[] = [];
  const attributeProblems = new Map<ByteText, HoldfastError[]>();
  const options: ScanOptions = {
    extendedAttributes: true,
    onVanished: (name) => vanished.push(name),
    onAttributeProblem: (name, error) => keepProblem(attributeProblems, name, error),
  };
  return { vanished, attributeProblems, options };
}

/** As a scan, but without touching what would never answer. */
function scanAround(
  directory: number,
  names: readonly Uint8Array<ArrayBuffer>[],
  silent: SilentNames,
): EntryScan {
  const entries: ScannedEntry[] = [];
  const vanished: Uint8Array[] = [];
  const attributeProblems = new Map<ByteText, HoldfastError[]>();
  const onProblem = (name: Uint8Array, error: HoldfastError): void =>
    keepProblem(attributeProblems, name, error);
  for (const name of names) {
    if (silent.names.has(byteTextOf(name))) {
      entries.push({ name, status: silent.error, extendedAttributes: [] });
      continue;
    }
    try {
      const status = readStatusAt(directory, name);
      const extendedAttributes = tryReadAttributes(directory, name, onProblem);
      entries.push({ name, status, extendedAttributes });
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      if (error.code === 'FILE_NOT_FOUND') vanished.push(name);
      else entries.push({ name, status: error, extendedAttributes: [] });
    }
  }
  return { entries, vanished, attributeProblems };
}

function tryReadAttributes(
  directory: number,
  name: Uint8Array<ArrayBuffer>,
  onProblem: (name: Uint8Array, error: HoldfastError) => void,
): ScannedEntry['extendedAttributes'] {
  try {
    return readExtendedAttributesAt(directory, name, (_attribute, error) => onProblem(name, error));
  } catch (error) {
    if (!isHoldfastError(error) || error.code === 'FILE_NOT_FOUND') throw error;
    onProblem(name, error);
    return [];
  }
}

function keepProblem(
  problems: Map<ByteText, HoldfastError[]>,
  name: Uint8Array,
  error: HoldfastError,
): void {
  const text = byteTextOf(name);
  problems.set(text, [...(problems.get(text) ?? []), error]);
}

function tryReadLink(directory: number, name: Uint8Array<ArrayBuffer>): Uint8Array | HoldfastError {
  try {
    return readLinkAt(directory, name);
  } catch (error) {
    if (isHoldfastError(error)) return error;
    throw error;
  }
}
