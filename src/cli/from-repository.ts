import type { FlagValues } from './command.ts';
import { locationFrom } from './repository-location.ts';
import type { RepositoryChoice } from './session.ts';

/** Flags that name a second repository, which is only read. */
export const fromFlags = {
  fromRepository: {
    kind: 'text',
    name: 'from-repo',
    placeholder: 'repository',
    variable: 'FROM_REPOSITORY',
    description: 'repository to copy from',
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

/** The flags that name a second repository and its password. */
export type FromFlags = typeof fromFlags;

/** The repository that `--from-repo` or `--from-repository-file` name, or their variables; undefined without. @throws USAGE */
export function fromRepository(flags: FlagValues<FromFlags>): RepositoryChoice | undefined {
  const location = locationFrom({ location: flags.fromRepository, file: flags.fromRepositoryFile });
  if (location === undefined) return undefined;
  return {
    location,
    password: {
      file: flags.fromPasswordFile,
      command: flags.fromPasswordCommand,
      variable: 'FROM_PASSWORD',
      allowEmpty: flags.fromInsecureNoPassword,
      emptyHint:
        'This is the one of the source repository: use --from-password-file, --from-password-command or RESTIC_FROM_PASSWORD, or --from-insecure-no-password for no password.',
    },
    keyHint: flags.fromKeyHint,
    name: 'source repository',
  };
}
