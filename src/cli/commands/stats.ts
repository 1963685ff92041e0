import type { Command } from '../command.ts';
import { type FilterFlags, filterFlags } from '../filter-flags.ts';
import { repositoryExitCodes } from '../help.ts';

/** Flags that only `holdfast stats` has. */
export const flags = {
  mode: {
    kind: 'choice',
    name: 'mode',
    placeholder: 'mode',
    choices: ['restore-size', 'files-by-contents', 'blobs-per-file', 'raw-data'],
    description: 'what to count, one of (restore-size|files-by-contents|blobs-per-file|raw-data)',
    defaultText: 'restore-size',
  },
} as const;

/** All flags of `holdfast stats` but the global ones. */
export type StatsFlags = FilterFlags & typeof flags;

/** `holdfast stats`; what it does is loaded only when it runs. */
export const command: Command<StatsFlags> = {
  name: 'stats',
  summary: 'Scan the repository and show basic statistics',
  description: `
Counts files and their sizes in all snapshots, or in those that are chosen. The modes are:

* restore-size: size of the files when restored; hard links count once in a snapshot
* files-by-contents: size of files that differ in content
* blobs-per-file: blobs per file; a mixture of files-by-contents and raw-data
* raw-data: size of the blobs in the repository, and how well they are compressed`,
  arguments: { usage: '[snapshotID ...]', minimum: 0, maximum: Number.POSITIVE_INFINITY },
  flags: { ...filterFlags, ...flags },
  examples: [
    { text: 'how large is a restore', command: 'holdfast stats latest' },
    { text: 'how much is stored', command: 'holdfast stats --mode raw-data' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/stats.ts')).stats(invocation),
};
