import type { Command } from '../command.ts';
import type { Feature } from '../features.ts';
import type { Column } from '../table.ts';

/** `holdfast features`; needs no repository. */
export const command: Command = {
  name: 'features',
  summary: 'Print list of feature flags',
  description:
    'Prints the feature flags that HOLDFAST_FEATURES or RESTIC_FEATURES may set, such as "featureA=true,featureB=false". ' +
    'One that is not in the list is an error. An alpha feature is off by default, a beta one on; both may change. A stable ' +
    'one is always on.',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: {},
  examples: [{ text: 'list them, to be set as NAME=true', command: 'holdfast features' }],
  exitCodes: [0, 1],
  async run({ output }) {
    const { features } = await import('../features.ts');
    const { formatTable } = await import('../table.ts');
    const columns: readonly Column<Feature>[] = [
      { title: 'Name', cell: ({ name }) => name },
      { title: 'Type', cell: ({ state }) => state },
      { title: 'Default', cell: ({ isDefault }) => `${isDefault}` },
      { title: 'Description', cell: ({ description }) => description },
    ];
    output.line('All Feature Flags:');
    for (const line of formatTable(columns, features)) output.line(line);
    return 0;
  },
};
