import {
  type Command,
  type CommandEntry,
  type CommandGroup,
  type Flag,
  isGroup,
} from '../command.ts';
import { globalFlags } from '../global-flags.ts';
import { loadAllCommands } from '../registry.ts';

/** What a value of a flag may be, as far as a shell can help. */
export type ValueKind =
  | { readonly kind: 'none' }
  | { readonly kind: 'file' }
  | { readonly kind: 'directory' }
  | { readonly kind: 'words'; readonly words: readonly string[] }
  | { readonly kind: 'any' };

/** A flag as a shell offers it; names are without dashes. */
export interface CompletedFlag {
  readonly name: string;
  readonly short: string | undefined;
  readonly description: string;
  readonly value: ValueKind;
  readonly isRepeatable: boolean;
}

/** A command or group as a shell offers it. */
export interface CompletedCommand {
  /** Words after the program's name. */
  readonly path: readonly string[];
  readonly summary: string;
  readonly flags: readonly CompletedFlag[];
  readonly arguments: ValueKind;
}

/** All that the completion scripts are made of. */
export interface CompletionModel {
  readonly globalFlags: readonly CompletedFlag[];
  /** Groups stand before their commands. */
  readonly commands: readonly CompletedCommand[];
}

/** Loads all commands and gathers what shells may complete. `help` about groups is among it. */
export async function completionModel(): Promise<CompletionModel> {
  const entries = await loadAllCommands();
  const names = entries.map((entry) => entry.name);
  return {
    globalFlags: Object.values(globalFlags).map(completedFlag),
    commands: [
      ...entries.flatMap((entry) => completedEntry(entry, names)),
      ...entries.filter(isGroup).map(helpOn),
    ],
  };
}

/** `help` about the commands of a group. */
function helpOn(group: CommandGroup): CompletedCommand {
  const words = group.commands.map((command) => command.name.split(' ').at(-1) ?? '');
  const { name, summary } = group;
  return { path: ['help', name], summary, flags: [], arguments: { kind: 'words', words } };
}

function completedEntry(entry: CommandEntry, names: readonly string[]): CompletedCommand[] {
  if (!isGroup(entry)) return [completedCommand(entry, names)];
  const words = entry.commands.map((command) => command.name.split(' ').at(-1) ?? '');
  const group: CompletedCommand = {
    path: [entry.name],
    summary: entry.summary,
    flags: [],
    arguments: { kind: 'words', words },
  };
  return [group, ...entry.commands.map((command) => completedCommand(command, names))];
}

function completedCommand(command: Command, names: readonly string[]): CompletedCommand {
  const complete = command.name === 'help' ? names : command.arguments.complete;
  let values: ValueKind = command.arguments.maximum === 0 ? { kind: 'none' } : { kind: 'any' };
  if (complete === 'file') values = { kind: 'file' };
  else if (complete) values = { kind: 'words', words: complete };
  return {
    path: command.name.split(' '),
    summary: command.summary,
    flags: Object.values(command.flags).map(completedFlag),
    arguments: values,
  };
}

function completedFlag(flag: Flag): CompletedFlag {
  return {
    name: flag.name,
    short: flag.short,
    description: flag.description,
    value: valueKind(flag),
    isRepeatable: flag.kind === 'texts' || flag.kind === 'count',
  };
}

function valueKind(flag: Flag): ValueKind {
  if (flag.kind === 'boolean' || flag.kind === 'count') return { kind: 'none' };
  if (flag.kind === 'choice') return { kind: 'words', words: flag.choices };
  if (flag.placeholder === 'file') return { kind: 'file' };
  if (flag.placeholder === 'directory' || flag.name.endsWith('repo')) return { kind: 'directory' };
  return { kind: 'any' };
}
