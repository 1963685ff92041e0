import { type ParseArgsConfig, parseArgs } from 'node:util';
import { assert } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Flag, FlagTable, FlagValue, FlagValues } from './command.ts';
import { nearest } from '../base/suggest.ts';
import { parseFlagText } from './values.ts';
import type { Variables } from './variables.ts';

/** Command line arguments, taken apart by a table of flags. */
export interface ParsedArguments {
  /** Texts given per flag, in order, by the flag's name in its table. */
  readonly given: ReadonlyMap<string, readonly GivenText[]>;
  /** Flags that the table does not know, as they were written. */
  readonly unknown: readonly UnknownFlag[];
  /** Everything that is no flag. `isEscaped`: it stood after `--`. */
  readonly positionals: readonly Positional[];
}

interface GivenText {
  readonly text: string | undefined;
  /** As it was written, such as `-r` or `--repo`. */
  readonly rawName: string;
}

interface UnknownFlag {
  readonly rawName: string;
  /** Position in the arguments. */
  readonly index: number;
}

/** An argument that is no flag. `index` is its position among all arguments; `isEscaped` if it stood after `--`. */
export interface Positional {
  readonly text: string;
  readonly index: number;
  readonly isEscaped: boolean;
}

function isSwitch(flag: Flag): boolean {
  return flag.kind === 'boolean' || flag.kind === 'count';
}

function parserOptions(table: FlagTable): NonNullable<ParseArgsConfig['options']> {
  const options: NonNullable<ParseArgsConfig['options']> = {};
  for (const flag of Object.values(table)) {
    const type = isSwitch(flag) ? 'boolean' : 'string';
    options[flag.name] = { type, multiple: true, ...(flag.short ? { short: flag.short } : {}) };
  }
  return options;
}

/** Takes arguments apart. Reads no values yet and refuses nothing. */
export function splitArguments(args: readonly string[], table: FlagTable): ParsedArguments {
  const { tokens } = parseArgs({
    args: [...args],
    options: parserOptions(table),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const keys = new Map(Object.entries(table).map(([key, flag]) => [flag.name, key]));
  const given = new Map<string, GivenText[]>();
  const unknown: UnknownFlag[] = [];
  const positionals: Positional[] = [];
  let isEscaped = false;
  for (const token of tokens) {
    if (token.kind === 'option-terminator') isEscaped = true;
    else if (token.kind === 'positional') {
      positionals.push({ text: token.value, index: token.index, isEscaped });
    } else {
      const { rawName, index } = token;
      const key = keys.get(token.name);
      if (key === undefined) {
        unknown.push({ rawName, index });
        continue;
      }
      const isShort = !rawName.startsWith('--');
      // `-r=x` means the same as `-rx`, as in restic.
      const text = isShort && token.inlineValue ? token.value.replace(/^=/, '') : token.value;
      const list = given.get(key) ?? [];
      list.push({ text, rawName });
      given.set(key, list);
    }
  }
  return { given, unknown, positionals };
}

/** Refuses the first flag that the table does not know. @throws USAGE */
export function refuseUnknown(parsed: ParsedArguments, table: FlagTable): void {
  const unknown = parsed.unknown[0];
  if (!unknown) return;
  const flags = Object.values(table);
  let hint: string | undefined;
  if (unknown.rawName.startsWith('--')) {
    const names = flags.map((flag) => flag.name);
    const meant = nearest(unknown.rawName.slice(2), names);
    if (meant) hint = `Did you mean --${meant}?`;
  } else {
    const letter = unknown.rawName.slice(1).toLowerCase();
    const meant = flags.find((flag) => flag.short?.toLowerCase() === letter);
    if (meant) hint = `Did you mean -${meant.short} (--${meant.name})?`;
  }
  throw usage(`unknown flag: ${unknown.rawName}`, hint);
}

/**
 * Reads the values of all flags: from the arguments, or else from the environment, or else the default.
 *
 * @throws USAGE for a malformed or missing value, naming the flag or the variable
 */
export function readFlags<T extends FlagTable>(
  table: T,
  parsed: ParsedArguments,
  variables: Variables,
): FlagValues<T> {
  const values: Record<string, FlagValue> = {};
  for (const [key, flag] of Object.entries(table)) {
    const given = parsed.given.get(key);
    values[key] = given ? readGiven(flag, given) : readDefault(flag, variables);
  }
  return values as FlagValues<T>;
}

function readGiven(flag: Flag, given: readonly GivenText[]): FlagValue {
  const values = given.map(({ text, rawName }) => {
    if (text === undefined) {
      if (isSwitch(flag)) return true;
      throw usage(`flag needs an argument: ${rawName}`);
    }
    const parsed = parseFlagText(flag, text);
    if ('value' in parsed) return parsed.value;
    throw usage(
      `invalid argument ${JSON.stringify(text)} for "${flagLabel(flag)}": ${parsed.problem}`,
    );
  });
  if (flag.kind === 'texts') return values.map(String);
  if (flag.kind === 'count') return countOf(values);
  const last = values.at(-1);
  assert(last !== undefined, 'a flag that was given has a value');
  return last;
}

/** `-v -v` counts 2, `--verbose=2` sets 2. */
function countOf(values: readonly (boolean | number | string)[]): number {
  let count = 0;
  for (const value of values) count = typeof value === 'number' ? value : count + 1;
  return count;
}

function readDefault(flag: Flag, variables: Variables): FlagValue {
  const variable = flag.variable === undefined ? undefined : variables.find(flag.variable);
  if (variable) {
    if (flag.kind === 'texts') return [variable.value];
    const parsed = parseFlagText(flag, variable.value);
    if ('value' in parsed) return parsed.value;
    const shown = JSON.stringify(variable.value);
    throw usage(`invalid value for ${variable.name} ${shown}: ${parsed.problem}`);
  }
  if (flag.kind === 'boolean') return false;
  if (flag.kind === 'count') return 0;
  return flag.kind === 'texts' ? [] : undefined;
}

/** A flag as messages show it: `-r, --repo`. */
export function flagLabel(flag: Flag): string {
  return flag.short ? `-${flag.short}, --${flag.name}` : `--${flag.name}`;
}

/** A mistake of the user. */
export function usage(message: string, hint?: string): HoldfastError {
  return new HoldfastError('USAGE', hint === undefined ? { message } : { message, hint });
}
