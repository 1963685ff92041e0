import { type BackupFlags, backupFlags } from '../backup-flags.ts';
import type { Command } from '../command.ts';

/** `holdfast backup`; what it does is loaded only when it runs. */
export const command: Command<BackupFlags> = {
  name: 'backup',
  summary: 'Create a new backup of files and/or directories',
  description: `
Stores the files and folders given in a new snapshot. Only what changed since the last snapshot of the same paths is read,
and only what the repository does not hold yet is stored.

A file that cannot be read, that changes while it is read, or whose file system gives no answer for two minutes is named,
the rest is stored, and the exit code is 3. So is a folder that is empty and was not before.`,
  arguments: {
    usage: '[FILE/DIR ...]',
    minimum: 0,
    maximum: Number.POSITIVE_INFINITY,
    complete: 'file',
  },
  flags: backupFlags,
  examples: [
    { text: 'back up two folders', command: 'holdfast backup ~/documents /etc' },
    {
      text: 'without caches and large files',
      command: 'holdfast backup ~ --exclude-caches --exclude-larger-than 2G --exclude "*.iso"',
    },
    { text: 'see what would be stored', command: 'holdfast backup --dry-run -vv ~/documents' },
    {
      text: 'the output of a program',
      command:
        'holdfast backup --stdin-filename shop.sql --stdin-from-command -- mysqldump --single-transaction shop',
    },
  ],
  exitCodes: [0, 1, 3, 10, 11, 12, 130],
  run: async (invocation) => (await import('../actions/backup.ts')).backup(invocation),
};
