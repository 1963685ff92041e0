import type { CommandGroup } from '../command.ts';
import { estateCommands } from '../estate-commands.ts';

/** The commands of `holdfast sources`. */
export const command: CommandGroup = estateCommands({
  kind: 'sources',
  one: 'source',
  kept: 'Its snapshots stay, and are not thinned out any more.',
  example: 'documents',
});
