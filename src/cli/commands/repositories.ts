import type { CommandGroup } from '../command.ts';
import { estateCommands } from '../estate-commands.ts';

/** The commands of `holdfast repositories`. */
export const command: CommandGroup = estateCommands({
  kind: 'repositories',
  one: 'repository',
  kept: 'What is stored in it stays there.',
  example: 'disk',
});
