import type { Command } from '../command.ts';

const flags = {
  server: {
    kind: 'text',
    name: 'server',
    placeholder: 'url',
    variable: 'SERVER',
    description: 'the server',
    defaultText: 'http://127.0.0.1:8640, or that of the set-up link',
  },
  setUp: {
    kind: 'text',
    name: 'set-up-file',
    placeholder: 'file',
    description:
      'file with the set-up link of a new server, whose first user is made; "-" for standard input',
  },
  user: {
    kind: 'text',
    name: 'user',
    placeholder: 'name',
    description: 'name of the user',
  },
  userPasswordFile: {
    kind: 'text',
    name: 'user-password-file',
    placeholder: 'file',
    description: 'file to read the password of the user from',
    defaultText: 'ask on a terminal, else read a line of standard input',
  },
  scope: {
    kind: 'texts',
    name: 'scope',
    placeholder: 'scope',
    description: 'what the token may: read, run, manage, admin (can be given several times)',
    defaultText: 'all that the user may',
  },
} as const;

/** Flags of `holdfast login`. */
export type LoginFlags = typeof flags;

/** `holdfast login`; what it does is loaded only when it runs. */
export const command: Command<LoginFlags> = {
  name: 'login',
  summary: 'Sign in to a server, for the commands that ask it',
  description: `
Signs in to a server and keeps a token for 90 days, in a file that the user alone can read. "apply", "export" and "runs" use it. A new
server prints a set-up link when it starts: with --set-up-file the first user is made by it before.`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags,
  examples: [
    { text: 'asks for the password', command: 'holdfast login --user anna' },
    {
      text: 'the first user of a new server',
      command: 'holdfast login --user anna --set-up-file link.txt',
    },
  ],
  exitCodes: [0, 1, 130],
  run: async (invocation) => (await import('../actions/login.ts')).login(invocation),
};
