import type { Command } from '../command.ts';
import { type LockFlags, lockFlags } from '../lock-flags.ts';
import { type FromFlags, fromFlags } from '../from-repository.ts';

const flags = {
  repositoryVersion: {
    kind: 'choice',
    name: 'repository-version',
    placeholder: 'version',
    choices: ['1', '2', 'latest', 'stable'],
    description: 'format version, one of (1|2|latest|stable)',
    defaultText: 'stable',
  },
  copyChunkerParameters: {
    kind: 'boolean',
    name: 'copy-chunker-params',
    description:
      'cut files as the repository of --from-repo does, so that data copied from there deduplicates',
  },
} as const;

/** All flags of `holdfast init` but the global ones. */
export type InitFlags = typeof flags & LockFlags & FromFlags;

/** `holdfast init`; what it does is loaded only when it runs. */
export const command: Command<InitFlags> = {
  name: 'init',
  summary: 'Initialize a new repository',
  description: `
Creates a repository. It asks for a password unless one is given. Without the password nothing in the repository can be
read: keep it in a second place.

With --lock, on S3 with Object Lock or immutable storage of Azure, every file is locked when it is stored, but for the locks
of commands: for so long nobody who has the credentials can destroy a backup. "holdfast immutability" shows and extends the
locks.`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: { ...flags, ...lockFlags, ...fromFlags },
  examples: [
    { text: 'in a local folder', command: 'holdfast init --repo /mnt/backup' },
    {
      text: 'with the password in a file',
      command: 'holdfast init --repo /mnt/backup --password-file /etc/holdfast/password',
    },
    {
      text: 'cutting files as another repository does',
      command: 'holdfast init --repo /mnt/copy --from-repo /mnt/backup --copy-chunker-params',
    },
    {
      text: 'in a bucket, nothing of which can be destroyed for 30 days',
      command: 'holdfast init --repo s3:https://s3.example.com/bucket --lock 30d',
    },
  ],
  exitCodes: [0, 1, 10, 12, 130],
  run: async (invocation) => (await import('../actions/init.ts')).init(invocation),
};
