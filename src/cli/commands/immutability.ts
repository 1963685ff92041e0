import type { Command } from '../command.ts';
import { repositoryExitCodes } from '../help.ts';
import { type LockFlags, lockFlags } from '../lock-flags.ts';

const flags = {
  attack: {
    kind: 'boolean',
    name: 'attack',
    description: 'try to break the locks with these credentials: of a canary, and of some packs',
  },
  sample: {
    kind: 'integer',
    name: 'sample',
    placeholder: 'n',
    minimum: 0,
    maximum: 1000,
    description: 'number of packs that --attack tries',
    defaultText: '3',
  },
  extend: {
    kind: 'boolean',
    name: 'extend',
    description: 'extend the locks of all that snapshots need, where they end too early',
  },
} as const;

/** All flags of `holdfast immutability` but the global ones. */
export type ImmutabilityFlags = typeof flags & LockFlags;

/** `holdfast immutability`; what it does is loaded only when it runs. */
export const command: Command<ImmutabilityFlags> = {
  name: 'immutability',
  summary: 'Show, extend and attack the locks that keep backups from being destroyed',
  description: `
Shows for every snapshot until when all that it needs is locked in the storage, against what was promised by "init --lock" or
--lock. Each file is asked for its lock; nothing is taken from memory. Ends with 1 if a promise is not kept.

--extend keeps it: a new snapshot leans on old packs, whose locks end earlier. Run it every day, with credentials that may
lock (s3:PutObjectRetention). --attack tries what a thief would: to overwrite, to delete, to shorten a lock and to lift it by
special rights. It begins with a file made for it; packs are tried only with what that has withstood, and put back if lost.

--lock promises locks for a repository that has none, or others than before, for all files that are stored from then on.`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: { ...flags, ...lockFlags },
  examples: [
    { text: 'what is locked until when', command: 'holdfast immutability' },
    { text: 'every day, by a timer', command: 'holdfast immutability --extend' },
    { text: 'would the locks hold?', command: 'holdfast immutability --attack' },
    {
      text: 'lock what is there, and all that comes',
      command: 'holdfast immutability --lock 30d --extend',
    },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/immutability.ts')).immutability(invocation),
};
