import { readFileSync } from 'node:fs';
import { HoldfastError } from '../../base/errors.ts';
import { currentDirectory } from '../../platform/machine.ts';
import { type ByteText, bytesOf, byteTextOf } from './byte-text.ts';
import { findPaths, hasWildcard } from './find-paths.ts';
import { decodeText, linesOf, type ReadBytes, readListFile, trimSpace } from './text-file.ts';

/** Files that list targets; `-` is standard input. */
export interface FilesFromOptions {
  /** `--files-from`: a pattern a line, trimmed, comments and empty lines skipped. */
  readonly patterns?: readonly string[];
  /** `--files-from-verbatim`: a path a line. */
  readonly verbatim?: readonly string[];
  /** `--files-from-raw`: paths, a zero byte after each. */
  readonly raw?: readonly string[];
  /** What relative patterns are relative to. Default: the process's own. */
  readonly workingDirectory?: string | Uint8Array;
  readonly read?: ReadBytes;
}

/** What lists ask for. */
export interface ListedTargets {
  /** Paths as they stand in the lists, or as their patterns found them. What has no wildcard may be missing. */
  readonly targets: readonly Uint8Array[];
  /** Patterns that match nothing, as where their disk is not mounted. */
  readonly unmatched: readonly Uint8Array[];
}

/**
 * Targets from lists, in the order that restic has: patterns, verbatim, raw. Arguments of the command line come after.
 * @throws PATTERN_INVALID, USAGE, FILE_NOT_FOUND, PERMISSION_DENIED, SYSTEM_CALL_FAILED
 * @see docs/FORMAT.md
 */
export function readFilesFrom(options: FilesFromOptions): ListedTargets {
  const read = options.read ?? readListOrInput;
  const unmatched: ByteText[] = [];
  const targets = [
    ...(options.patterns ?? []).flatMap((name) =>
      patternsIn(read(name)).flatMap((pattern) => targetsOf(pattern, options, unmatched)),
    ),
    ...(options.verbatim ?? []).flatMap((name) => verbatimTargets(read(name))),
    ...(options.raw ?? []).flatMap((name) => rawTargets(read(name))),
  ];
  return { targets: targets.map(bytesOf), unmatched: unmatched.map(bytesOf) };
}

function patternsIn(bytes: Uint8Array): ByteText[] {
  return linesOf(decodeText(bytes))
    .map(trimSpace)
    .filter((line) => line !== '' && !line.startsWith('#'));
}

function targetsOf(
  pattern: ByteText,
  { workingDirectory }: FilesFromOptions,
  unmatched: ByteText[],
): ByteText[] {
  // A plain path that is missing is told by who opens it, as one of the command line.
  if (!hasWildcard(pattern)) return [pattern];
  const found = findPaths(pattern, byteTextOf(workingDirectory ?? currentDirectory()));
  if (found.length === 0) unmatched.push(pattern);
  return found;
}

function verbatimTargets(bytes: Uint8Array): ByteText[] {
  return linesOf(decodeText(bytes)).filter((line) => line !== '');
}

function rawTargets(bytes: Uint8Array): ByteText[] {
  const names = byteTextOf(bytes).split('\0');
  if (names.pop() !== '') throw rawError('the zero byte after the last name is missing');
  if (names.includes('')) throw rawError('there is an empty name');
  return names;
}

function rawError(what: string): HoldfastError {
  return new HoldfastError('USAGE', {
    message: `the list for --files-from-raw is damaged: ${what}`,
  });
}

function readListOrInput(name: string): Uint8Array {
  return name === '-' ? readFileSync(0) : readListFile(name);
}
