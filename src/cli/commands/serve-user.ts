import type { Command, CommandGroup } from '../command.ts';
import { servedFlags } from './serve-repository.ts';

const passwordFlags = {
  userPasswordFile: {
    kind: 'text',
    name: 'user-password-file',
    placeholder: 'file',
    description: 'file to read the password of the user from',
    defaultText: 'ask on a terminal, else read a line of standard input',
  },
} as const;

/** Flags of all commands of users. */
export type UserFlags = typeof servedFlags;
/** Flags of `serve-user add`. */
export type UserPasswordFlags = typeof servedFlags & typeof passwordFlags;

const add: Command<UserPasswordFlags> = {
  name: 'serve-user add',
  summary: 'Add a user, or change the password of one',
  description: `
Adds a user to the file that "holdfast serve-repository" reads, which sees it within a second. A user that is there gets the new
password. The file keeps a hash of it (bcrypt), not the password.`,
  arguments: { usage: 'NAME', minimum: 1, maximum: 1, complete: [] },
  flags: { ...servedFlags, ...passwordFlags },
  examples: [
    { text: 'asks for the password', command: 'holdfast serve-user add anna --path /srv/backup' },
    {
      text: 'with a password from a file',
      command: 'holdfast serve-user add anna --path /srv/backup --user-password-file anna.txt',
    },
  ],
  exitCodes: [0, 1, 130],
  run: async (invocation) => (await import('../actions/serve-user.ts')).userAdd(invocation),
};

const list: Command<UserFlags> = {
  name: 'serve-user list',
  summary: 'List users',
  description: 'Lists the users with the kind of hash that is kept of their passwords.',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: servedFlags,
  examples: [{ text: 'who is served', command: 'holdfast serve-user list --path /srv/backup' }],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/serve-user.ts')).userList(invocation),
};

const remove: Command<UserFlags> = {
  name: 'serve-user remove',
  summary: 'Remove a user',
  description: `
Removes a user from the file. A server that runs lets the user in no more within a second. The repositories of the user stay.`,
  arguments: { usage: 'NAME', minimum: 1, maximum: 1, complete: [] },
  flags: servedFlags,
  examples: [
    { text: 'take access away', command: 'holdfast serve-user remove anna --path /srv/backup' },
  ],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/serve-user.ts')).userRemove(invocation),
};

/** The commands of `holdfast serve-user`. */
export const command: CommandGroup = {
  name: 'serve-user',
  summary: 'Manage the users of a server (serve-repository)',
  description: `
The users of "holdfast serve-repository" stand in a file of names and hashes of passwords, .htpasswd in the folder of repositories.
It has the form of Apache's htpasswd, so the file of restic's rest-server goes on to work.`,
  commands: [add, list, remove],
  examples: [
    { text: 'add a user', command: 'holdfast serve-user add anna --path /srv/backup' },
    { text: 'list them', command: 'holdfast serve-user list --path /srv/backup' },
  ],
};
