import type { Command } from '../command.ts';
import { type FilterFlags, filterFlags } from '../filter-flags.ts';
import { repositoryExitCodes } from '../help.ts';
import { type SelectionFlags, selectionFlags } from '../selection-flags.ts';

const flags = {
  forget: {
    kind: 'boolean',
    name: 'forget',
    description: 'remove the original snapshots once the new ones are stored',
  },
  dryRun: {
    kind: 'boolean',
    name: 'dry-run',
    short: 'n',
    description: 'write nothing, only say what would be done',
  },
  newHost: {
    kind: 'text',
    name: 'new-host',
    placeholder: 'host',
    description: 'another host name',
  },
  newTime: {
    kind: 'text',
    name: 'new-time',
    placeholder: 'time',
    description: 'another time of the backup, such as "2026-01-31 18:05:00"',
  },
  snapshotSummary: {
    kind: 'boolean',
    name: 'snapshot-summary',
    short: 's',
    description: 'count files and bytes of snapshots that say nothing of them',
  },
} as const;

/** All flags of `holdfast rewrite` but the global ones. */
export type RewriteFlags = FilterFlags & SelectionFlags & typeof flags;

/** `holdfast rewrite`; what it does is loaded only when it runs. */
export const command: Command<RewriteFlags> = {
  name: 'rewrite',
  summary: 'Rewrite snapshots to exclude unwanted files',
  description: `
Stores snapshots anew without what matches --exclude, with only what matches --include, or with another host or time: the
snapshots given, or all that fit --host, --tag and --path. The new ones get the tag "rewrite"; with --forget they take the
place of the old ones instead. What stays in a snapshot keeps its bytes; a snapshot of which nothing goes is left alone.

The data that is no longer used is still in the repository, and in the snapshots that were not removed.`,
  arguments: { usage: '[snapshotID ...]', minimum: 0, maximum: Number.POSITIVE_INFINITY },
  flags: { ...filterFlags, ...selectionFlags('keep'), ...flags },
  examples: [
    {
      text: 'see what would be done',
      command: 'holdfast rewrite --exclude "*.iso" --dry-run',
    },
    {
      text: 'take a secret out of all snapshots of a host',
      command: 'holdfast rewrite --host www1 --exclude /srv/www/secret.txt --forget',
    },
    { text: 'correct a host name', command: 'holdfast rewrite --new-host www2 --forget 79766175' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/rewrite.ts')).rewrite(invocation),
};
