import { readFileSync } from 'node:fs';
import { HoldfastError } from '../../base/errors.ts';
import { currentDirectory } from '../../platform/machine.ts';
import { printablePath } from '../../platform/place.ts';
import { type ByteText, bytesOf, byteTextOf } from './byte-text.ts';
import { findPaths } from './find-paths.ts';
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
  /** Hears of a pattern that matches nothing. */
  readonly onNote?: (text: string) => void;
  readonly read?: ReadBytes;
}

/**
 * Targets from lists, in the order that restic has: patterns, verbatim, raw. Arguments of the command line come after.
 * @throws PATTERN_INVALID, USAGE, FILE_NOT_FOUND, PERMISSION_DENIED, SYSTEM_CALL_FAILED
 * @see docs/FORMAT.md
 */
export function readFilesFrom(options: FilesFromOptions): Uint8Array[] {
  const read = options.read ?? readListOrInput;
  const targets = [
    ...(options.patterns ?? []).flatMap((name) => targetsOfPatterns(read(name), options)),
    ...(options.verbatim ?? []).flatMap((name) => verbatimTargets(read(name))),
    ...(options.raw ?? []).flatMap((name) => rawTargets(read(name))),
  ];
  return targets.map(bytesOf);
}

function targetsOfPatterns(bytes: Uint8Array, options: FilesFromOptions): ByteText[] {
  const workingDirectory = byteTextOf(options.workingDirectory ?? currentDirectory());
  return linesOf(decodeText(bytes))
    .map(trimSpace)
    .filter((line) => line !== '' && !line.startsWith('#'))
    .flatMap((pattern) => {
      const found = findPaths(pattern, workingDirectory);
      if (found.length === 0) {
        options.onNote?.(`${printablePath(bytesOf(pattern))} does not match any files: skipped`);
      }
      return found;
    });
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
