import type { Command, CommandGroup } from '../command.ts';
import { type ServerFlags, serverFlags } from '../server-flags.ts';

const addFlags = {
  role: {
    kind: 'choice',
    name: 'role',
    placeholder: 'role',
    choices: ['viewer', 'operator', 'admin'],
    description: 'what they may, one of (viewer|operator|admin)',
  },
  userPasswordFile: {
    kind: 'text',
    name: 'user-password-file',
    placeholder: 'file',
    description: 'file to read the password of the user from',
  },
} as const;

/** Flags of `holdfast users add`. */
export type UsersAddFlags = ServerFlags & typeof addFlags;

const changeFlags = {
  disable: {
    kind: 'boolean',
    name: 'disable',
    description: 'they cannot sign in any more, nor do their tokens count',
  },
  enable: { kind: 'boolean', name: 'enable', description: 'they can again' },
} as const;

/** Flags of `holdfast users change`. */
export type UsersChangeFlags = UsersAddFlags & typeof changeFlags;

const list: Command<ServerFlags> = {
  name: 'users list',
  summary: 'List the users of a server',
  description: 'Lists who may sign in to a server, and in which role. Needs the scope "admin".',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: serverFlags,
  examples: [{ text: 'all of them', command: 'holdfast users list' }],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/accounts.ts')).usersList(invocation),
};

const add: Command<UsersAddFlags> = {
  name: 'users add',
  summary: 'Add a user to a server',
  description: `
Adds a user. Without --role they may look, and nothing else. The password is asked for on a terminal, or else read from a line of
standard input; it has at least 12 characters.`,
  arguments: { usage: 'NAME', minimum: 1, maximum: 1, complete: [] },
  flags: { ...serverFlags, ...addFlags },
  examples: [
    { text: 'who may start runs', command: 'holdfast users add ben --role operator' },
    { text: 'without a terminal', command: 'holdfast users add ben --user-password-file secret' },
  ],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/accounts.ts')).usersAdd(invocation),
};

const change: Command<UsersChangeFlags> = {
  name: 'users change',
  summary: 'Change the role or the password of a user, or shut them out',
  description: 'Changes a user. All their sessions end; a lower role takes from their tokens, too.',
  arguments: { usage: 'NAME', minimum: 1, maximum: 1, complete: [] },
  flags: { ...serverFlags, ...addFlags, ...changeFlags },
  examples: [
    { text: 'another role', command: 'holdfast users change ben --role admin' },
    { text: 'shut out', command: 'holdfast users change ben --disable' },
  ],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/accounts.ts')).usersChange(invocation),
};

const remove: Command<ServerFlags> = {
  name: 'users remove',
  summary: 'Remove a user from a server, with all their tokens',
  description: 'Removes a user, their sessions and their tokens. What they did stays recorded.',
  arguments: { usage: 'NAME', minimum: 1, maximum: 1, complete: [] },
  flags: serverFlags,
  examples: [{ text: 'one', command: 'holdfast users remove ben' }],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/accounts.ts')).usersRemove(invocation),
};

/** The commands of `holdfast users`. */
export const command: CommandGroup = {
  name: 'users',
  summary: 'Look at users of a server, add, change, remove',
  description: `
Users sign in to a server with a name and a password; their role says what they may (docs/SERVER.md). Log in first with "holdfast login".`,
  commands: [list, add, change, remove],
  examples: [
    { text: 'all of them', command: 'holdfast users list' },
    { text: 'who may start runs', command: 'holdfast users add ben --role operator' },
  ],
};
