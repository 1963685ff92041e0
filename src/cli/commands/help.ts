import { type Command, isGroup } from '../command.ts';
import { describeEntry } from '../describe.ts';
import { usage } from '../parse.ts';
import { loadCommand } from '../registry.ts';

/** `holdfast help`; loads the command that it explains, or all. */
export const command: Command = {
  name: 'help',
  summary: 'Help about any command',
  description: 'Prints what a command does, with its flags, examples and exit codes.',
  arguments: { usage: '[command]', minimum: 0, maximum: 2 },
  flags: {},
  examples: [
    { text: 'list all commands', command: 'holdfast help' },
    { text: 'explain one', command: 'holdfast help backup' },
  ],
  exitCodes: [0, 1],
  async run({ arguments: [name, sub], output }) {
    if (name === undefined) {
      output.line(await describeEntry(undefined));
      return 0;
    }
    const entry = await loadCommand(name);
    if (sub === undefined) {
      output.line(await describeEntry(entry));
      return 0;
    }
    const commands = isGroup(entry) ? entry.commands : [];
    const found = commands.find((command) => command.name === `${name} ${sub}`);
    if (!found) throw usage(`unknown command ${JSON.stringify(`${name} ${sub}`)}`);
    output.line(await describeEntry(found));
    return 0;
  },
};
