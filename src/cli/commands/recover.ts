import type { Command } from '../command.ts';
import { repositoryExitCodes } from '../help.ts';

/** Flags of `holdfast recover`, besides the global ones. */
export const flags = {
  incomplete: {
    kind: 'boolean',
    name: 'incomplete',
    description:
      'take also trees below which something is missing; "holdfast repair snapshots" is next then',
  },
} as const;

/** All flags of `holdfast recover` but the global ones. */
export type RecoverFlags = typeof flags;

/** `holdfast recover`; what it does is loaded only when it runs. */
export const command: Command<RecoverFlags> = {
  name: 'recover',
  summary: 'Recover data from the repository not referenced by snapshots',
  description: `
Makes a snapshot, tagged "recovered", of all directory trees in the repository that no snapshot holds any more: what "forget"
removed, as long as prune has not run, and what backups stored that did not end. Each tree is a directory in the snapshot that
is named by the beginning of its id. The index is repaired first, so that packs count that it does not list.

Trees below which something is missing are left out and told: a snapshot of them could not be restored whole.`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags,
  examples: [
    { text: 'bring back what was forgotten', command: 'holdfast recover' },
    { text: 'also what is not whole', command: 'holdfast recover --incomplete' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/recover.ts')).recover(invocation),
};
