import type { Command } from '../command.ts';
import { type FilterFlags, filterFlags } from '../filter-flags.ts';
import { repositoryExitCodes } from '../help.ts';

/** Flags that only `holdfast ls` has. */
export const flags = {
  long: {
    kind: 'boolean',
    name: 'long',
    short: 'l',
    description: 'print mode, owner, size and time too',
  },
  humanReadable: {
    kind: 'boolean',
    name: 'human-readable',
    description: 'print sizes with units',
  },
  ncdu: {
    kind: 'boolean',
    name: 'ncdu',
    description: "print the export format of ncdu (for 'ncdu -f -')",
  },
  recursive: {
    kind: 'boolean',
    name: 'recursive',
    description: 'also list what is in subfolders of the given folders',
  },
  reverse: { kind: 'boolean', name: 'reverse', description: 'reverse the order' },
  sort: {
    kind: 'choice',
    name: 'sort',
    short: 's',
    placeholder: 'mode',
    choices: ['name', 'size', 'time', 'mtime', 'atime', 'ctime', 'extension'],
    description: 'order by (name|size|time=mtime|atime|ctime|extension)',
    defaultText: 'name',
  },
} as const;

/** All flags of `holdfast ls` but the global ones. */
export type LsFlags = FilterFlags & typeof flags;

/** `holdfast ls`; what it does is loaded only when it runs. */
export const command: Command<LsFlags> = {
  name: 'ls',
  summary: 'List files in a snapshot',
  description: `
Lists the files and folders of a snapshot. "latest" is the newest snapshot that fits --host, --tag and --path, and
SNAPSHOT:folder is a folder within a snapshot.

Folders given after the snapshot limit the list to what lies directly in them, or anywhere below with --recursive. They
are absolute and separated by "/".`,
  arguments: { usage: 'snapshotID [dir...]', minimum: 0, maximum: Number.POSITIVE_INFINITY },
  flags: { ...filterFlags, ...flags },
  examples: [
    { text: 'list the newest snapshot', command: 'holdfast ls latest' },
    { text: 'one folder with sizes', command: 'holdfast ls -l latest /home/anna' },
    { text: 'the largest files first', command: 'holdfast ls -l latest --sort size --reverse' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/ls.ts')).ls(invocation),
};
