import type { Command } from '../command.ts';
import { type FilterFlags, filterFlags } from '../filter-flags.ts';
import { repositoryExitCodes } from '../help.ts';

/** Flags that only `holdfast find` has. */
export const flags = {
  blob: { kind: 'boolean', name: 'blob', description: 'the patterns are ids of data blobs' },
  tree: { kind: 'boolean', name: 'tree', description: 'the patterns are ids of trees' },
  pack: { kind: 'boolean', name: 'pack', description: 'the patterns are ids of pack files' },
  showPackId: {
    kind: 'boolean',
    name: 'show-pack-id',
    description: 'print which pack holds it (with --blob or --tree)',
  },
  ignoreCase: {
    kind: 'boolean',
    name: 'ignore-case',
    short: 'i',
    description: 'ignore upper and lower case',
  },
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
  oldest: {
    kind: 'text',
    name: 'oldest',
    short: 'O',
    placeholder: 'time',
    description: 'only what was modified at this time or later, such as 2026-01-31',
  },
  newest: {
    kind: 'text',
    name: 'newest',
    short: 'N',
    placeholder: 'time',
    description: 'only what was modified at this time or before',
  },
  reverse: {
    kind: 'boolean',
    name: 'reverse',
    short: 'R',
    description: 'search the oldest snapshot first',
  },
  snapshots: {
    kind: 'texts',
    name: 'snapshot',
    short: 's',
    placeholder: 'id',
    description: 'only in this snapshot (can be given several times)',
  },
} as const;

/** All flags of `holdfast find` but the global ones. */
export type FindFlags = FilterFlags & typeof flags;

/** `holdfast find`; what it does is loaded only when it runs. */
export const command: Command<FindFlags> = {
  name: 'find',
  summary: 'Find a file, a directory or repository IDs',
  description: `
Searches all snapshots, newest first, for files and folders whose path matches a pattern. A pattern without a slash fits
the name; "*", "?" and "[a-z]" stand for letters, "**" for any folders. With --blob, --tree or --pack it says in which
snapshots and files the objects of these ids are used; packs are also found if no index names them.`,
  arguments: { usage: 'PATTERN...', minimum: 1, maximum: Number.POSITIVE_INFINITY },
  flags: { ...filterFlags, ...flags },
  examples: [
    { text: 'where is this file', command: 'holdfast find config.json' },
    { text: 'several patterns', command: 'holdfast find --json "*.yml" "*.json"' },
    {
      text: 'a file that was changed this year',
      command: 'holdfast find -l --oldest 2026-01-01 "*.docx"',
    },
    { text: 'which files use a blob', command: 'holdfast find --blob 420f620f b46ebe8a' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/find.ts')).find(invocation),
};
