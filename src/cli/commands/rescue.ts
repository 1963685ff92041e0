import type { Command } from '../command.ts';

const flags = {
  dryRun: {
    kind: 'boolean',
    name: 'dry-run',
    short: 'n',
    description: 'change nothing, only tell what would be done',
  },
  since: {
    kind: 'text',
    name: 'since',
    placeholder: 'time',
    description: 'undo only what happened since this time, such as "2026-01-31 18:05"',
  },
} as const;

/** All flags of `holdfast rescue` but the global ones. */
export type RescueFlags = typeof flags;

/** `holdfast rescue`; what it does is loaded only when it runs. */
export const command: Command<RescueFlags> = {
  name: 'rescue',
  summary: 'Undo removals and overwrites, on storage that keeps older versions',
  description: `
Brings a repository back that somebody has deleted or overwritten, from the older versions of its files that S3 or Azure keep.
Of each file the newest version counts that holds the bytes it is named after; of the config the newest one that your key
opens. Marks of removal are taken away, and right versions are stored again over wrong ones. No version is removed.

What forget and prune removed comes back as well. --since leaves alone what happened before. Begin with --dry-run, and run
"holdfast check --read-data" afterwards.`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags,
  examples: [
    { text: 'what would be done', command: 'holdfast rescue --dry-run' },
    { text: 'undo what was done today', command: 'holdfast rescue --since 2026-01-31' },
  ],
  exitCodes: [0, 1, 12, 130],
  run: async (invocation) => (await import('../actions/rescue.ts')).rescue(invocation),
};
