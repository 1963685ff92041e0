import type { Command } from '../command.ts';
import { type FilterFlags, filterFlags } from '../filter-flags.ts';
import { type PrunePolicyFlags, prunePolicyFlags } from '../prune-flags.ts';
import { type RetentionFlags, retentionFlags } from '../retention-flags.ts';

/**
 * Flags of `holdfast forget` besides shared ones; `hosts` replaces that of `filterFlags`, whose short form is taken
 * here.
 */
export const flags = {
  // Not -H, which is --keep-hourly here.
  hosts: {
    kind: 'texts',
    name: 'host',
    placeholder: 'host',
    variable: 'HOST',
    description:
      "only snapshots of this host (can be given several times; '' switches the default off)",
  },
  allowRemoveAll: {
    kind: 'boolean',
    name: 'unsafe-allow-remove-all',
    description:
      'without a policy, remove all snapshots that the filter means; with one, also the last sound one of a group',
  },
  compact: {
    kind: 'boolean',
    name: 'compact',
    short: 'c',
    description: 'leave reasons and paths out of the tables',
  },
  groupBy: {
    kind: 'text',
    name: 'group-by',
    short: 'g',
    placeholder: 'group',
    description: "apply the policy to each host, paths and/or tags apart ('' to all together)",
    defaultText: 'host,paths',
  },
  prune: {
    kind: 'boolean',
    name: 'prune',
    description: 'free space with "holdfast prune" afterwards, if a snapshot was removed',
  },
  dryRun: {
    kind: 'boolean',
    name: 'dry-run',
    short: 'n',
    description: 'remove nothing, only show what would be kept, why, and what would go',
  },
} as const;

/** All flags of `holdfast forget` but the global ones. */
export type ForgetFlags = Omit<FilterFlags, 'hosts'> &
  RetentionFlags &
  PrunePolicyFlags &
  typeof flags;

/** `holdfast forget`; what it does is loaded only when it runs. */
export const command: Command<ForgetFlags> = {
  name: 'forget',
  summary: 'Remove snapshots from the repository',
  description: `
Removes the snapshots given, or those that a policy of --keep-* options does not keep. The policy is applied to each group
of snapshots with the same host and paths; a snapshot is kept if any option keeps it. Where there are fewer snapshots than
an option would keep, the oldest one is kept, too.

Snapshots that are incomplete, damaged, from the future or dated by hand take no place from others: the policy is applied to
the sound ones alone as well, and what either keeps is kept. Periods in which nothing was backed up do not count, and
durations are counted back from the newest snapshot, so a machine that was off keeps its history.

Only the snapshots go; "holdfast prune", or --prune here, then frees the space of data that nothing refers to any more.`,
  arguments: { usage: '[snapshotID ...]', minimum: 0, maximum: Number.POSITIVE_INFINITY },
  flags: { ...filterFlags, ...retentionFlags, ...prunePolicyFlags, ...flags },
  examples: [
    {
      text: 'see what a policy would do',
      command: 'holdfast forget --keep-daily 7 --keep-weekly 5 --keep-monthly 12 --dry-run',
    },
    {
      text: 'keep the last ten of one host',
      command: 'holdfast forget --host www1 --keep-last 10',
    },
    { text: 'remove two snapshots', command: 'holdfast forget 40dc1520 79766175' },
    {
      text: 'remove all of a host',
      command: 'holdfast forget --host old --unsafe-allow-remove-all',
    },
  ],
  exitCodes: [0, 1, 3, 10, 11, 12, 130],
  partialText: 'at least one snapshot could not be removed',
  run: async (invocation) => (await import('../actions/forget.ts')).forget(invocation),
};
