import type { Environment } from '../base/environment.ts';
import {
  type Command,
  type CommandEntry,
  type Flag,
  type FlagTable,
  type FlagValues,
  type Input,
  type Invocation,
  isGroup,
} from './command.ts';
import { globalFlags } from './global-flags.ts';
import type { Output } from './output.ts';
import {
  type ParsedArguments,
  type Positional,
  readFlags,
  refuseUnknown,
  splitArguments,
  usage,
} from './parse.ts';
import { framesPerSecond } from './progress/frame-rate.ts';
import { commandNames, loadCommand } from './registry.ts';
import { nearest } from '../base/suggest.ts';
import type { Variables } from './variables.ts';

/** All that the program needs of its process. */
export interface ProgramOptions {
  /** Arguments after the program's name. */
  readonly args: readonly string[];
  readonly variables: Variables;
  readonly environment: Environment;
  readonly output: Output;
  readonly input: Input;
  readonly signal: AbortSignal;
  /** See `Invocation`. */
  readonly beforeEnd?: Invocation['beforeEnd'];
}

/** Runs one command line. Reports every error itself. @returns the exit code */
export async function runProgram(options: ProgramOptions): Promise<number> {
  try {
    return await run(options);
  } catch (error) {
    if (options.variables.plain('HOLDFAST_DEBUG') && error instanceof Error) {
      options.output.errorLine(error.stack ?? error.message);
    }
    return options.output.fatal(error);
  }
}

async function run(options: ProgramOptions): Promise<number> {
  const { output } = options;
  const split = splitArguments(options.args, globalFlags);
  output.isJson = split.given.has('json');
  await lookAtFeatures(options);
  const wantsHelp = split.given.has('help');
  const found = findName(split, commandNames, 'command');
  if (!found) {
    refuseUnknown(split, globalFlags);
    if (!wantsHelp) readFlags(globalFlags, split, options.variables);
    return printHelp(output, undefined);
  }
  const args = without(options.args, found);
  let entry = await loadCommand(found.text);
  if (!isGroup(entry)) return runCommand(entry, args, options);
  const names = entry.commands.map((command) => command.name.split(' ').at(-1) ?? '');
  const sub = findName(splitArguments(args, globalFlags), names, `command of "${entry.name}":`);
  if (!sub) return printHelp(output, entry);
  entry = entry.commands[names.indexOf(sub.text)] ?? entry;
  if (isGroup(entry) || wantsHelp) return printHelp(output, entry);
  return runCommand(entry, without(args, sub), options);
}

/** Reads feature flags before anything is done, as restic does. @throws USAGE for one that does not exist */
async function lookAtFeatures({ variables, output }: ProgramOptions): Promise<void> {
  if (!variables.find('FEATURES')) return;
  const { readFeatures } = await import('./features.ts');
  for (const warning of readFeatures(variables).warnings) {
    if (!output.isJson) output.errorLine(warning);
  }
}

function without(args: readonly string[], positional: Positional): string[] {
  return args.filter((_, i) => i !== positional.index);
}

/**
 * The first argument that is one of `names`.
 *
 * Flags of the command itself may stand before its name, and then the value of such a flag looks like an argument;
 * so one argument after a flag that is not global is passed over.
 * @throws USAGE if something else stands where the name should be
 */
function findName(
  split: ParsedArguments,
  names: readonly string[],
  what: string,
): Positional | undefined {
  for (const positional of split.positionals) {
    if (names.includes(positional.text)) return positional;
    if (split.unknown.some((flag) => flag.index === positional.index - 1)) continue;
    throw unknownName(positional.text, names, what);
  }
  return undefined;
}

/** Commands of restic that are not here, and what to use. */
const commandsElsewhere: ReadonlyMap<string, string> = new Map([
  [
    'mount',
    'It is not there yet: "restic mount" works on the same repository, and "holdfast ls", "dump" and "restore" do.',
  ],
  ['self-update', 'Update Holdfast the way it was installed, such as with "git pull && npm ci".'],
]);

function unknownName(given: string, names: readonly string[], what: string): Error {
  const meant = nearest(given, names);
  return usage(
    `unknown ${what} ${JSON.stringify(given)}`,
    commandsElsewhere.get(given) ?? (meant ? `Did you mean "${meant}"?` : 'See "holdfast help".'),
  );
}

async function printHelp(output: Output, entry: CommandEntry | undefined): Promise<number> {
  const { describeEntry } = await import('./describe.ts');
  output.line(await describeEntry(entry));
  return 0;
}

async function runCommand(
  command: Command,
  args: readonly string[],
  options: ProgramOptions,
): Promise<number> {
  const { output, variables } = options;
  const table = { ...globalFlags, ...command.flags };
  const parsed = splitArguments(args, table);
  const globals = readFlags(globalFlags, parsed, variables);
  output.isJson = globals.json;
  if (globals.help) return printHelp(output, command);
  refuseUnknown(parsed, table);
  const flags = readFlags(command.flags, parsed, variables);
  if (globals.quiet && globals.verbose > 0) {
    throw usage('--quiet and --verbose cannot be given together');
  }
  framesPerSecond(variables);
  await refuseLostPaths(table, { ...globals, ...flags });
  output.verbosity = globals.quiet ? 0 : Math.min(1 + globals.verbose, 3);
  const positionals = parsed.positionals.map(({ text }) => text);
  checkCount(command, positionals);
  return command.run({ ...options, command: command.name, globals, flags, arguments: positionals });
}

/** What help calls the values of those flags that name a path. */
const pathPlaceholders: readonly string[] = ['file', 'directory', 'repository'];

/**
 * Node replaces what is no UTF-8 in arguments and variables: such a path would lead elsewhere.
 * @throws USAGE for the first that did not come whole
 */
async function refuseLostPaths(table: FlagTable, values: FlagValues): Promise<void> {
  for (const [key, flag] of Object.entries(table)) {
    if (!isDecodedPath(flag)) continue;
    for (const value of [values[key] ?? []].flat()) {
      if (!String(value).includes('\ufffd')) continue;
      // Loaded late: starting needs nothing of the platform.
      const { assertDecoded } = await import('./raw-arguments.ts');
      assertDecoded(String(value), `value of --${flag.name}`);
    }
  }
}

/** True for a path that is used as the text that Node made of it. */
function isDecodedPath(flag: Flag): boolean {
  if (flag.kind === 'text' && flag.takesBytes) return false;
  const isText = flag.kind === 'text' || flag.kind === 'texts';
  return isText && pathPlaceholders.includes(flag.placeholder);
}

/** @throws USAGE if there are too many or too few arguments */
function checkCount(command: Command, args: readonly string[]): void {
  const { minimum, maximum, usage: shown } = command.arguments;
  const line = ['holdfast', command.name, '[flags]', shown].filter(Boolean).join(' ');
  const hint = `Usage: ${line}; see "holdfast help ${command.name}".`;
  if (args.length > maximum) {
    const extra = args[maximum] ?? '';
    throw usage(
      maximum === 0
        ? `the ${command.name} command expects no arguments, only flags, but was given ${JSON.stringify(extra)}`
        : `unexpected argument ${JSON.stringify(extra)}`,
      hint,
    );
  }
  if (args.length < minimum) throw usage(`the ${command.name} command needs: ${shown}`, hint);
}
