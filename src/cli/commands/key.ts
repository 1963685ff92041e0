import type { CommandGroup, Command } from '../command.ts';
import { repositoryExitCodes } from '../help.ts';

/** Flags of commands that make a new key. */
export const newKeyFlags = {
  user: {
    kind: 'text',
    name: 'user',
    placeholder: 'name',
    description: 'user name to note in the key',
    defaultText: 'the current user',
  },
  host: {
    kind: 'text',
    name: 'host',
    placeholder: 'name',
    description: 'host name to note in the key',
    defaultText: 'this host',
  },
  newPasswordFile: {
    kind: 'text',
    name: 'new-password-file',
    placeholder: 'file',
    description: 'file to read the new password from',
  },
  newInsecureNoPassword: {
    kind: 'boolean',
    name: 'new-insecure-no-password',
    description: 'make the new password empty (insecure)',
  },
} as const;

/** All flags of the commands that make a key but the global ones. */
export type NewKeyFlags = typeof newKeyFlags;

const list: Command = {
  name: 'key list',
  summary: 'List keys (passwords)',
  description:
    'Lists all keys of the repository with their id, user, host and age. A star marks the key in use.',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: {},
  examples: [{ text: 'who can open the repository', command: 'holdfast key list' }],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/key.ts')).keyList(invocation),
};

const add: Command<NewKeyFlags> = {
  name: 'key add',
  summary: 'Add a new key (password) to the repository; returns the new key ID',
  description: 'Adds a key with a password of its own, and proves that it opens the repository.',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: newKeyFlags,
  examples: [
    { text: 'asks for the new password', command: 'holdfast key add' },
    {
      text: 'for somebody else',
      command: 'holdfast key add --user anna --host laptop --new-password-file anna.txt',
    },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/key.ts')).keyAdd(invocation),
};

const remove: Command = {
  name: 'key remove',
  summary: 'Remove key ID (password) from the repository',
  description: 'Removes a key. The key in use cannot be removed.',
  arguments: { usage: 'ID', minimum: 1, maximum: 1 },
  flags: {},
  examples: [{ text: 'take access away', command: 'holdfast key remove eb78040b' }],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/key.ts')).keyRemove(invocation),
};

const passwd: Command<NewKeyFlags> = {
  name: 'key passwd',
  summary:
    'Change key (password); creates a new key ID and removes the old key ID, returns new key ID',
  description:
    'Changes the password: adds a key with the new one, proves that it opens the repository, and then removes the key in use.',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: newKeyFlags,
  examples: [
    { text: 'asks for the new password', command: 'holdfast key passwd' },
    { text: 'from a file', command: 'holdfast key passwd --new-password-file new.txt' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/key.ts')).keyPasswd(invocation),
};

/** Flags of `key kit`. */
export const kitFlags = {
  format: {
    kind: 'choice',
    name: 'format',
    placeholder: 'format',
    choices: ['html', 'text'],
    description: 'html or text',
    defaultText: 'by the ending of the file',
  },
  unproven: {
    kind: 'boolean',
    name: 'unproven',
    description:
      'do not ask for a part of the password as it stands on the page: for scripts, where nobody shows that the page is kept',
  },
} as const;

/** All flags of `holdfast key kit` but the global ones. */
export type KitFlags = typeof kitFlags;

const kit: Command<KitFlags> = {
  name: 'key kit',
  summary: 'Write a recovery kit: a page with a new password and how to restore',
  description: `
Adds a key with a generated password and writes one page to print: where the repository is, the password, how to restore with
Holdfast and with restic, and copies of the two small files that a repository cannot be opened without. You then type a part of
the password as it stands on the page; if that fails, key and page are removed again.

The page opens the repository. Keep it away from this machine, and delete the file once it is printed.`,
  arguments: { usage: 'FILE', minimum: 1, maximum: 1, complete: 'file' },
  flags: kitFlags,
  examples: [
    { text: 'a page to print', command: 'holdfast key kit recovery-kit.html' },
    { text: 'from a script', command: 'holdfast key kit /run/kit.txt --unproven' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/key-kit.ts')).keyKit(invocation),
};

/** `holdfast key`: the commands about keys and their passwords. */
export const command: CommandGroup = {
  name: 'key',
  summary: 'Manage keys (passwords)',
  description: 'A repository can have several keys, each with a password of its own.',
  commands: [add, kit, list, passwd, remove],
  examples: [
    { text: 'list the keys', command: 'holdfast key list' },
    { text: 'change the password', command: 'holdfast key passwd' },
  ],
};
