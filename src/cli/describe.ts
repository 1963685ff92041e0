import { type CommandEntry, isGroup } from './command.ts';
import { commandHelp, groupHelp, programHelp } from './help.ts';
import { loadAllCommands } from './registry.ts';

/** Help for a command, a group of commands, or the whole program. */
export async function describeEntry(entry: CommandEntry | undefined): Promise<string> {
  if (!entry) return programHelp(await loadAllCommands());
  return isGroup(entry) ? groupHelp(entry) : commandHelp(entry);
}
