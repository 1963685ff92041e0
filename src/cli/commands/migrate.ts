import type { Command } from '../command.ts';
import { repositoryExitCodes } from '../help.ts';

/** Flags of `holdfast migrate`, besides the global ones. */
export const flags = {
  force: {
    kind: 'boolean',
    name: 'force',
    short: 'f',
    description: 'try a migration even if it does not seem to be needed',
  },
} as const;

/** All flags of `holdfast migrate` but the global ones. */
export type MigrateFlags = typeof flags;

/** `holdfast migrate`; what it does is loaded only when it runs. */
export const command: Command<MigrateFlags> = {
  name: 'migrate',
  summary: 'Apply migrations',
  description: `
Without a name, lists the migrations that can be applied to the repository. With names, applies these.

upgrade_repo_v2 makes a repository of format version 1 one of version 2, which compresses. The repository is checked first, a
copy of its config is kept in the current folder until all has gone well, and the config is then replaced. Nothing else changes:
what is stored stays as it is, and only new data is compressed.`,
  arguments: {
    usage: '[migration name ...]',
    minimum: 0,
    maximum: Number.POSITIVE_INFINITY,
    complete: ['upgrade_repo_v2'],
  },
  flags,
  examples: [
    { text: 'list what can be done', command: 'holdfast migrate' },
    {
      text: 'turn compression on for an old repository',
      command: 'holdfast migrate upgrade_repo_v2',
    },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/migrate.ts')).migrate(invocation),
};
