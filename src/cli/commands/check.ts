import type { Command } from '../command.ts';
import { type FilterFlags, filterFlags } from '../filter-flags.ts';
import { repositoryExitCodes } from '../help.ts';

/** Flags that only `holdfast check` has. */
export const flags = {
  readData: {
    kind: 'boolean',
    name: 'read-data',
    description: 'read and verify all data',
  },
  readDataSubset: {
    kind: 'text',
    name: 'read-data-subset',
    placeholder: 'subset',
    description:
      "read a part of the data: 'n/t' for the n-th of t parts, or a random part of 'x%' or of a size with suffix k, m, g or t",
  },
  withCache: {
    kind: 'boolean',
    name: 'with-cache',
    description: 'use the local cache and read only what is not in it',
  },
} as const;

/** All flags of `holdfast check` but the global ones. */
export type CheckFlags = FilterFlags & typeof flags;

/** `holdfast check`; what it does is loaded only when it runs. */
export const command: Command<CheckFlags> = {
  name: 'check',
  summary: 'Check the repository for errors',
  description: `
Checks that snapshots, trees, the index and the pack files fit together, and names every file and snapshot that damage
affects. With --read-data the content of all packs is read and verified too, with --read-data-subset a part of it.`,
  arguments: { usage: '[snapshotID ...]', minimum: 0, maximum: Number.POSITIVE_INFINITY },
  flags: { ...filterFlags, ...flags },
  examples: [
    { text: 'check the structure', command: 'holdfast check' },
    { text: 'read everything', command: 'holdfast check --read-data' },
    {
      text: 'read a seventh every day of the week',
      command: 'holdfast check --read-data-subset $(date +%u)/7',
    },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/check.ts')).check(invocation),
};
