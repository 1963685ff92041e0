import type { Command } from '../command.ts';

export const flags = {
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
  fromRepository: {
    kind: 'text',
    name: 'from-repo',
    placeholder: 'repository',
    variable: 'FROM_REPOSITORY',
    description: 'repository to copy the chunker parameters from',
  },
  fromRepositoryFile: {
    kind: 'text',
    name: 'from-repository-file',
    placeholder: 'file',
    variable: 'FROM_REPOSITORY_FILE',
    description: 'file to read the location of that repository from',
  },
  fromPasswordFile: {
    kind: 'text',
    name: 'from-password-file',
    placeholder: 'file',
    variable: 'FROM_PASSWORD_FILE',
    description: 'file to read the password of that repository from',
  },
  fromPasswordCommand: {
    kind: 'text',
    name: 'from-password-command',
    placeholder: 'command',
    variable: 'FROM_PASSWORD_COMMAND',
    description: 'command whose output is the password of that repository',
  },
  fromKeyHint: {
    kind: 'text',
    name: 'from-key-hint',
    placeholder: 'key',
    variable: 'FROM_KEY_HINT',
    description: 'id of the key of that repository to try first',
  },
  fromInsecureNoPassword: {
    kind: 'boolean',
    name: 'from-insecure-no-password',
    description: 'use an empty password for that repository (insecure)',
  },
} as const;

export type InitFlags = typeof flags;

export const command: Command<InitFlags> = {
  name: 'init',
  summary: 'Initialize a new repository',
  description: `
Creates a repository. It asks for a password unless one is given. Without the password nothing in the repository can be
read: keep it in a second place.`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags,
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
  ],
  exitCodes: [0, 1, 10, 12, 130],
  run: async (invocation) => (await import('../actions/init.ts')).init(invocation),
};
