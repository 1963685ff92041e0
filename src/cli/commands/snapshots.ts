import type { Command } from '../command.ts';
import { type FilterFlags, filterFlags } from '../filter-flags.ts';
import { repositoryExitCodes } from '../help.ts';

/** Flags that only `holdfast snapshots` has. */
export const flags = {
  compact: {
    kind: 'boolean',
    name: 'compact',
    short: 'c',
    description: 'leave the paths out of the table',
  },
  groupBy: {
    kind: 'text',
    name: 'group-by',
    short: 'g',
    placeholder: 'group',
    description: 'a table for each host, paths and/or tags, separated by comma',
  },
  latest: {
    kind: 'integer',
    name: 'latest',
    placeholder: 'n',
    minimum: 0,
    maximum: 1_000_000_000,
    description: 'only the last n snapshots of each host and path',
  },
} as const;

/** All flags of `holdfast snapshots` but the global ones. */
export type SnapshotsFlags = FilterFlags & typeof flags;

/** `holdfast snapshots`; what it does is loaded only when it runs. */
export const command: Command<SnapshotsFlags> = {
  name: 'snapshots',
  summary: 'List all snapshots',
  description: 'Lists the snapshots in the repository, oldest first.',
  arguments: { usage: '[snapshotID ...]', minimum: 0, maximum: Number.POSITIVE_INFINITY },
  flags: { ...filterFlags, ...flags },
  examples: [
    { text: 'list all snapshots', command: 'holdfast snapshots' },
    { text: 'the newest of each host', command: 'holdfast snapshots --latest 1 --group-by host' },
    { text: 'for a program', command: 'holdfast snapshots --json --tag daily' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/snapshots.ts')).snapshots(invocation),
};
