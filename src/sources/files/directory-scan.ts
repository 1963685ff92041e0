import type { HoldfastError } from '../../base/errors.ts';
import { isHoldfastError } from '../../base/errors.ts';
import { readExtendedAttributesAt } from '../../platform/attributes.ts';
import { listDirectory, type ScannedEntry, scanDirectory } from '../../platform/directory.ts';
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

/**
 * Reads an opened directory.
 * @param silent names that are not touched, with the error that each of them gets
 * @throws SYSTEM_CALL_FAILED and kin if the directory cannot be listed
 */
export function scanNear(
  directory: number,
  silent?: { readonly names: ReadonlySet<ByteText>; readonly error: HoldfastError },
): DirectoryScan {
  const scan = silent && silent.names.size > 0 ? scanAround(directory, silent) : scanAll(directory);
  return {
    ...scan,
    linkTarget: (name) => tryReadLink(directory, name),
    start: (name, sizeBytes) => readStart({ directory, name }, sizeBytes),
  };
}

type EntryScan = Pick<DirectoryScan, 'entries' | 'vanished' | 'attributeProblems'>;

function scanAll(directory: number): EntryScan {
  const vanished: Uint8Array[] = [];
  const attributeProblems = new Map<ByteText, HoldfastError[]>();
  const entries = scanDirectory(directory, {
    extendedAttributes: true,
    onVanished: (name) => vanished.push(name),
    onAttributeProblem: (name, error) => keepProblem(attributeProblems, name, error),
  });
  return { entries, vanished, attributeProblems };
}

/** As `scanAll`, but without touching what would never answer. */
function scanAround(
  directory: number,
  silent: { readonly names: ReadonlySet<ByteText>; readonly error: HoldfastError },
): EntryScan {
  const entries: ScannedEntry[] = [];
  const vanished: Uint8Array[] = [];
  const attributeProblems = new Map<ByteText, HoldfastError[]>();
  const onProblem = (name: Uint8Array, error: HoldfastError): void =>
    keepProblem(attributeProblems, name, error);
  for (const name of listDirectory(directory).sort((a, b) => Buffer.compare(a, b))) {
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
