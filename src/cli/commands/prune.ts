import type { Command } from '../command.ts';
import { repositoryExitCodes } from '../help.ts';
import { type PrunePolicyFlags, prunePolicyFlags } from '../prune-flags.ts';

/** Flags that only `holdfast prune` has. */
export const flags = {
  dryRun: {
    kind: 'boolean',
    name: 'dry-run',
    short: 'n',
    description: 'change nothing, only tell what would be done',
  },
  allowRemoveAll: {
    kind: 'boolean',
    name: 'unsafe-allow-remove-all',
    description: 'remove all data of a repository without snapshots; else that is refused',
  },
  unsafeRecoverNoFreeSpace: {
    kind: 'text',
    name: 'unsafe-recover-no-free-space',
    placeholder: 'repository ID',
    description:
      'for a storage without any free space: delete at once, repack nothing, and do without a lock if there is no room for it; try --instant --max-repack-size 0 first',
  },
} as const;

/** All flags of `holdfast prune` but the global ones. */
export type PruneFlags = PrunePolicyFlags & typeof flags;

/** `holdfast prune`; what it does is loaded only when it runs. */
export const command: Command<PruneFlags> = {
  name: 'prune',
  summary: 'Remove unneeded data from the repository',
  description: `
Frees the space of data that no snapshot needs any more, in two steps that need nobody to wait: packs without any use are
marked, and those that an earlier prune marked a day ago or longer (--keep-delete), and that are still of no use, are
deleted. Backups may run meanwhile. So run it regularly; space becomes free with the second run.

With --instant everything is deleted at once, as restic does, and nobody else can use the repository meanwhile.

Packs that hold both used and unused data are stored anew without the unused, as far as --max-unused asks for it. Nothing is
removed unless all snapshots, folder listings and index files could be read whole, nor where there is no snapshot at all:
then they may be missing (--unsafe-allow-remove-all).`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: { ...prunePolicyFlags, ...flags },
  examples: [
    { text: 'free space, once a day', command: 'holdfast prune' },
    { text: 'free space at once, when nobody else is there', command: 'holdfast prune --instant' },
    { text: 'see what would be done', command: 'holdfast prune --dry-run -v' },
    {
      text: 'on a storage that is full',
      command: 'holdfast prune --instant --max-repack-size 0',
    },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/prune.ts')).prune(invocation),
};
