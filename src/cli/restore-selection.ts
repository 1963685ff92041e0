import type { EntrySelect } from '../engine/trees/entry-select.ts';
import { byteTextOf } from '../sources/files/byte-text.ts';
import { componentsOf } from '../sources/files/clean-path.ts';
import { readPatternFiles } from '../sources/files/pattern-files.ts';
import { PatternList, type PatternState } from '../sources/files/patterns.ts';
import type { FlagValues, Invocation } from './command.ts';
import type { RestoreFlags } from './commands/restore.ts';
import { usage } from './parse.ts';
import { rawArguments } from './raw-arguments.ts';
import type { SelectionFlags } from './selection-flags.ts';

/** Decides about the folders of one path again and again: their states are kept. */
class PathStates {
  readonly #list: PatternList;
  #folder = '\0';
  #state: PatternState;

  constructor(list: PatternList) {
    this.#list = list;
    this.#state = list.root;
  }

  get isEmpty(): boolean {
    return this.#list.isEmpty;
  }

  /** The state of a path that begins with a slash. */
  of(path: string): PatternState {
    const slash = path.lastIndexOf('/');
    const folder = path.slice(0, slash);
    if (folder !== this.#folder) {
      this.#folder = folder;
      this.#state = this.#list.stateOf(componentsOf(folder));
    }
    return this.#list.descend(this.#state, path.slice(slash + 1));
  }

  isMatched(path: string): boolean {
    return !this.isEmpty && this.#list.isMatched(this.of(path));
  }

  mayMatchBelow(path: string): boolean {
    return !this.isEmpty && this.#list.childMayMatch(this.of(path));
  }
}

/**
 * The selection that include and exclude flags describe.
 * @returns undefined if everything is selected
 * @throws USAGE if both kinds are given; PATTERN_INVALID and what reading pattern files throws
 */
export function pathSelection({
  flags,
  variables,
}: Pick<Invocation, 'variables'> & {
  readonly flags: FlagValues<SelectionFlags>;
}): EntrySelect | undefined {
  const read = (names: readonly string[]): Uint8Array[] =>
    readPatternFiles(names, { variables: variables.all });
  const includes = statesOf(
    [...rawArguments(flags.includes), ...read(flags.includeFiles)],
    [...rawArguments(flags.includesIgnoringCase), ...read(flags.includeFilesIgnoringCase)],
  );
  const excludes = statesOf(
    [...rawArguments(flags.excludes), ...read(flags.excludeFiles)],
    [...rawArguments(flags.excludesIgnoringCase), ...read(flags.excludeFilesIgnoringCase)],
  );
  const hasIncludes = includes.some((states) => !states.isEmpty);
  const hasExcludes = excludes.some((states) => !states.isEmpty);
  if (hasIncludes && hasExcludes) {
    throw usage('exclude and include patterns are mutually exclusive');
  }
  if (hasExcludes) {
    return (path) => {
      const text = byteTextOf(path);
      const selected = !excludes.some((states) => states.isMatched(text));
      return { selected, mayHoldSelected: selected };
    };
  }
  if (!hasIncludes) return undefined;
  return (path, isDirectory) => {
    const text = byteTextOf(path);
    const selected = includes.some((states) => states.isMatched(text));
    const mayHoldSelected =
      isDirectory && (selected || includes.some((states) => states.mayMatchBelow(text)));
    return { selected, mayHoldSelected };
  };
}

function statesOf(
  exact: readonly (string | Uint8Array)[],
  folded: readonly (string | Uint8Array)[],
): PathStates[] {
  return [
    new PathStates(PatternList.parse(exact)),
    new PathStates(PatternList.parse(folded, { ignoreCase: true })),
  ];
}

/** Which extended attributes are restored; undefined for all. @throws USAGE, PATTERN_INVALID */
export function attributeSelection(
  flags: FlagValues<RestoreFlags>,
): ((name: string) => boolean) | undefined {
  const { includeXattrs, excludeXattrs } = flags;
  if (includeXattrs.length > 0 && excludeXattrs.length > 0) {
    throw usage('--include-xattr and --exclude-xattr cannot be given together');
  }
  const patterns = PatternList.parse([...includeXattrs, ...excludeXattrs]);
  if (patterns.isEmpty) return undefined;
  const isInclude = includeXattrs.length > 0;
  return (name) => patterns.matches(name) === isInclude;
}
