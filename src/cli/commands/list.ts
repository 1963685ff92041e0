import type { Command } from '../command.ts';
import { repositoryExitCodes } from '../help.ts';

/** What `list` can list. */
export const listTypes = ['blobs', 'packs', 'index', 'snapshots', 'keys', 'locks'] as const;

/** `holdfast list`; what it does is loaded only when it runs. */
export const command: Command = {
  name: 'list',
  summary: 'List objects in the repository',
  description: 'Prints the ids of all objects of one type, one a line, in no particular order.',
  arguments: {
    usage: 'blobs|packs|index|snapshots|keys|locks',
    minimum: 1,
    maximum: 1,
    complete: listTypes,
  },
  flags: {},
  examples: [
    { text: 'ids of all pack files', command: 'holdfast list packs' },
    { text: 'is there a lock', command: 'holdfast list locks' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/list.ts')).list(invocation),
};
