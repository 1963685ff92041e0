import type { Command } from '../command.ts';
import { repositoryExitCodes } from '../help.ts';

/** What `cat` can print. */
export const catTypes = [
  'config',
  'index',
  'snapshot',
  'key',
  'masterkey',
  'lock',
  'pack',
  'blob',
  'tree',
] as const;

/** `holdfast cat`; what it does is loaded only when it runs. */
export const command: Command = {
  name: 'cat',
  summary: 'Print internal objects to stdout',
  description:
    'Prints an object of the repository, decrypted and decompressed. "masterkey" prints the key that opens all data: keep it secret.',
  arguments: {
    usage:
      'masterkey|config|pack ID|blob ID|snapshot ID|index ID|key ID|lock ID|tree snapshot:subfolder',
    minimum: 0,
    maximum: Number.POSITIVE_INFINITY,
    complete: catTypes,
  },
  flags: {},
  examples: [
    { text: 'the config', command: 'holdfast cat config' },
    { text: 'a snapshot', command: 'holdfast cat snapshot 5845b002' },
    { text: 'the listing of a folder', command: 'holdfast cat tree latest:home/anna' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/cat.ts')).cat(invocation),
};
