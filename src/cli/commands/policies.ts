import type { CommandGroup } from '../command.ts';
import { estateCommands } from '../estate-commands.ts';

/** The commands of `holdfast policies`. */
export const command: CommandGroup = estateCommands({
  kind: 'policies',
  one: 'policy',
  kept: 'Snapshots that were made by it stay.',
  example: 'daily',
});
