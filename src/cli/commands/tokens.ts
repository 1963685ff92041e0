import type { Command, CommandGroup } from '../command.ts';
import { type ServerFlags, serverFlags } from '../server-flags.ts';

const addFlags = {
  scope: {
    kind: 'texts',
    name: 'scope',
    placeholder: 'scope',
    description: 'what it may: read, run, manage, admin (can be given several times)',
    defaultText: 'read',
  },
  days: {
    kind: 'integer',
    name: 'days',
    placeholder: 'n',
    minimum: 1,
    maximum: 3650,
    description: 'for how many days it counts',
    defaultText: '90',
  },
} as const;

/** Flags of `holdfast tokens add`. */
export type TokensAddFlags = ServerFlags & typeof addFlags;

const list: Command<ServerFlags> = {
  name: 'tokens list',
  summary: 'List tokens of a server',
  description:
    'Lists your tokens, without what makes them count; those of all with the scope "admin".',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: serverFlags,
  examples: [{ text: 'all of them', command: 'holdfast tokens list' }],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/accounts.ts')).tokensList(invocation),
};

const add: Command<TokensAddFlags> = {
  name: 'tokens add',
  summary: 'Make a token for a program',
  description: `
Makes a token and prints it: this once, nobody can read it again. It has no scope that you have not. Programs send it as
"Authorization: Bearer TOKEN", and "holdfast" reads it from --token-file.`,
  arguments: { usage: 'LABEL', minimum: 1, maximum: 1, complete: [] },
  flags: { ...serverFlags, ...addFlags },
  examples: [
    { text: 'for a program that looks', command: 'holdfast tokens add prometheus >token' },
    {
      text: 'for one that starts runs',
      command: 'holdfast tokens add deploy --scope read --scope run --days 30',
    },
  ],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/accounts.ts')).tokensAdd(invocation),
};

const remove: Command<ServerFlags> = {
  name: 'tokens remove',
  summary: 'Remove a token: it counts no more',
  description: 'Removes a token by the id that "holdfast tokens list" shows.',
  arguments: { usage: 'ID', minimum: 1, maximum: 1, complete: [] },
  flags: serverFlags,
  examples: [{ text: 'one', command: 'holdfast tokens remove 1f0c6f8b2a9d4e37' }],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/accounts.ts')).tokensRemove(invocation),
};

/** The commands of `holdfast tokens`. */
export const command: CommandGroup = {
  name: 'tokens',
  summary: 'Look at tokens of a server, make and remove them',
  description: 'Tokens let programs ask a server. Log in first with "holdfast login".',
  commands: [list, add, remove],
  examples: [
    { text: 'for a program that looks', command: 'holdfast tokens add prometheus >token' },
  ],
};
