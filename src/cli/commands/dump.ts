import type { Command } from '../command.ts';
import { type FilterFlags, filterFlags } from '../filter-flags.ts';
import { repositoryExitCodes } from '../help.ts';

/** Flags that only `holdfast dump` has. */
export const flags = {
  archive: {
    kind: 'choice',
    name: 'archive',
    short: 'a',
    placeholder: 'format',
    choices: ['tar', 'zip'],
    description: 'kind of archive for a folder, one of (tar|zip)',
    defaultText: 'tar',
  },
  target: {
    kind: 'text',
    name: 'target',
    short: 't',
    placeholder: 'file',
    takesBytes: true,
    description: 'write to this file instead of standard output',
  },
} as const;

/** All flags of `holdfast dump` but the global ones. */
export type DumpFlags = FilterFlags & typeof flags;

/** `holdfast dump`; what it does is loaded only when it runs. */
export const command: Command<DumpFlags> = {
  name: 'dump',
  summary: 'Print backed-up files or folders to stdout',
  description: `
Writes the content of a file in a snapshot to standard output, or a folder as an archive. "/" is the whole snapshot.
SNAPSHOT:folder puts the content of the folder at the root of the archive.`,
  arguments: { usage: 'snapshotID file', minimum: 0, maximum: Number.POSITIVE_INFINITY },
  flags: { ...filterFlags, ...flags },
  examples: [
    {
      text: 'load a database dump',
      command: 'holdfast dump latest /var/backups/shop.sql | mysql shop',
    },
    {
      text: 'a folder as zip',
      command: 'holdfast dump -a zip latest /home/anna/photos > photos.zip',
    },
    { text: 'everything as tar', command: 'holdfast dump latest / --target all.tar' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/dump.ts')).dump(invocation),
};
