import type { Command } from '../command.ts';
import { type FilterFlags, filterFlags } from '../filter-flags.ts';
import { type FromFlags, fromFlags } from '../from-repository.ts';
import { repositoryExitCodes } from '../help.ts';

/** All flags of `holdfast copy` but the global ones. */
export type CopyFlags = FromFlags & FilterFlags;

/** `holdfast copy`; what it does is loaded only when it runs. */
export const command: Command<CopyFlags> = {
  name: 'copy',
  summary: 'Copy snapshots from one repository to another',
  description: `
Copies the snapshots given, or all that fit --host, --tag and --path, from the repository of --from-repo to that of --repo.
What the destination has already is not copied again; a copy that was interrupted goes on when it is run again. Snapshots
keep their time, host, tags and content, and remember the id that they had. The source is only read.

Files are not cut anew: data copied deduplicates with data backed up to the destination only if that was created with
--copy-chunker-params.

If the destination lost packs of snapshots that were copied before, what they held is stored again from the source. A snapshot
that cannot be read whole is named and not copied; the others are, and the exit code is 1.`,
  arguments: { usage: '[snapshotID ...]', minimum: 0, maximum: Number.POSITIVE_INFINITY },
  flags: { ...fromFlags, ...filterFlags },
  examples: [
    {
      text: 'everything',
      command: 'holdfast copy --from-repo /mnt/backup --repo /mnt/second',
    },
    {
      text: 'the newest of one host, with a password in a file',
      command:
        'holdfast copy --from-repo /mnt/backup --from-password-file /etc/holdfast/first --host www1 latest',
    },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/copy.ts')).copy(invocation),
};
