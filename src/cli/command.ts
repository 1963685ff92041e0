import type { Readable } from 'node:stream';
import type { Environment } from '../base/environment.ts';
import type { GlobalFlags } from './global-flags.ts';
import type { Output } from './output.ts';
import type { Variables } from './variables.ts';

interface FlagBase {
  /** Long name without the dashes. */
  readonly name: string;
  /** One letter. */
  readonly short?: string;
  readonly description: string;
  /** Name of the environment variable that gives the default, without `HOLDFAST_` or `RESTIC_`. */
  readonly variable?: string;
  /** What help says about the default. */
  readonly defaultText?: string;
}

interface ValueFlagBase extends FlagBase {
  /** What stands for the value in help; `file` and `directory` also complete so. */
  readonly placeholder: string;
}

/** Given or not: `boolean`. */
export interface BooleanFlag extends FlagBase {
  readonly kind: 'boolean';
}
/** How many times it was given, or the number after `=`: `number`. */
export interface CountFlag extends FlagBase {
  readonly kind: 'count';
}
/** The last value given: `string | undefined`. */
export interface TextFlag extends ValueFlagBase {
  readonly kind: 'text';
  /** A path whose bytes are asked of the system (`rawPath`): it need not be UTF-8. */
  readonly takesBytes?: boolean;
}
/** Every value given, in order: `string[]`. */
export interface TextsFlag extends ValueFlagBase {
  readonly kind: 'texts';
}
/** A whole number within limits: `number | undefined`. */
export interface IntegerFlag extends ValueFlagBase {
  readonly kind: 'integer';
  readonly minimum: number;
  readonly maximum: number;
  /** The word `unlimited` is taken, too, and gives Infinity. */
  readonly unlimited?: boolean;
  /** 0 is taken below the minimum, too, and stands for the default. */
  readonly takesZero?: boolean;
}
/** Go's duration such as `1h30m`, in milliseconds: `number | undefined`. */
export interface DurationFlag extends ValueFlagBase {
  readonly kind: 'duration';
}
/** A number with an optional suffix k, m, g or t, in bytes: `number | undefined`. */
export interface SizeFlag extends ValueFlagBase {
  readonly kind: 'size';
}
/** One of some words: that word or undefined. */
export interface ChoiceFlag extends ValueFlagBase {
  readonly kind: 'choice';
  readonly choices: readonly string[];
}

/** One flag of a command, by the kind of its values; `kind` says how the text given is read. */
export type Flag =
  | BooleanFlag
  | CountFlag
  | TextFlag
  | TextsFlag
  | IntegerFlag
  | DurationFlag
  | SizeFlag
  | ChoiceFlag;

/** Flags by the name under which the program reads their values. */
export type FlagTable = Readonly<Record<string, Flag>>;

/** The type of one flag's value. */
export type FlagValue<F extends Flag = Flag> = F extends { readonly kind: 'boolean' }
  ? boolean
  : F extends { readonly kind: 'count' }
    ? number
    : F extends { readonly kind: 'texts' }
      ? readonly string[]
      : F extends { readonly kind: 'choice'; readonly choices: readonly (infer C)[] }
        ? C | undefined
        : F extends { readonly kind: 'text' }
          ? string | undefined
          : number | undefined;

/** The values of a table of flags, by the same names, as read from arguments and variables. */
export type FlagValues<T extends FlagTable = FlagTable> = {
  readonly [K in keyof T]: FlagValue<T[K]>;
};

/** Exit codes of commands; what they mean stands in `help.ts`. */
export type ExitCode = 0 | 1 | 3 | 10 | 11 | 12 | 130;

/** What may stand besides flags. */
export interface ArgumentRule {
  /** As it stands in the usage line; empty if there are none. */
  readonly usage: string;
  readonly minimum: number;
  readonly maximum: number;
  /** What completion offers: files, or these words. */
  readonly complete?: 'file' | readonly string[];
}

/** An example for the help: what it is for, in a few words, and the line to type. */
export interface Example {
  readonly text: string;
  readonly command: string;
}

/** One command of the command line: all that help, completion and the parser need, and what runs it. */
export interface Command<T extends FlagTable = FlagTable> {
  /** Words after `holdfast`: `key list`. */
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly arguments: ArgumentRule;
  readonly flags: T;
  readonly examples: readonly Example[];
  readonly exitCodes: readonly ExitCode[];
  /** What exit code 3 means, where it is not about a backup. */
  readonly partialText?: string;
  /** Runs it. @returns the exit code; a thrown error gives its own */
  run(invocation: Invocation<T>): Promise<number>;
}

/** A command that only has commands below it. */
export interface CommandGroup {
  readonly name: string;
  readonly summary: string;
  readonly description: string;
  readonly commands: readonly Command[];
  readonly examples: readonly Example[];
}

/** What the first word after `holdfast` names. */
export type CommandEntry = Command | CommandGroup;

/** True for a group, whose commands are named by a second word. */
export function isGroup(entry: CommandEntry): entry is CommandGroup {
  return 'commands' in entry;
}

/** One call of a command, parsed. */
export interface Invocation<T extends FlagTable = FlagTable> {
  /** Words after `holdfast`: `key list`. */
  readonly command: string;
  readonly globals: FlagValues<GlobalFlags>;
  readonly flags: FlagValues<T>;
  readonly arguments: readonly string[];
  readonly variables: Variables;
  readonly environment: Environment;
  readonly output: Output;
  readonly input: Input;
  /** Aborts when the user interrupts. */
  readonly signal: AbortSignal;
  /** Has `action` done before the process ends without waiting for its work: once nothing may be changed any more. */
  readonly beforeEnd?: ((action: () => Promise<void>) => void) | undefined;
}

/** Standard input as a command sees it. */
export interface Input {
  readonly isTerminal: boolean;
  /** The next line without its end; undefined at the end of the input. */
  readLine(signal: AbortSignal): Promise<Uint8Array | undefined>;
  /** A line typed without echo; `ask` is called once the echo is off. Only for terminals. @throws CANCELLED */
  readHidden(signal: AbortSignal, ask: () => void): Promise<Uint8Array | undefined>;
  /** All of it, for who reads nothing else from it. */
  readable(): Readable;
}
