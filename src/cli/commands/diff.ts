import type { Command } from '../command.ts';
import { repositoryExitCodes } from '../help.ts';

/** Flags of `holdfast diff`, besides the global ones. */
export const flags = {
  metadata: {
    kind: 'boolean',
    name: 'metadata',
    description: 'also print what differs only in mode, owner or times',
  },
} as const;

/** All flags of `holdfast diff` but the global ones. */
export type DiffFlags = typeof flags;

/** `holdfast diff`; what it does is loaded only when it runs. */
export const command: Command<DiffFlags> = {
  name: 'diff',
  summary: 'Show differences between two snapshots',
  description: `
Shows what changed from the first snapshot to the second. The sign before each path means:

* +  it was added
* -  it was removed
* U  its metadata (mode, owner, times) changed
* M  its content was modified
* T  its type changed, such as a file that became a link
* ?  its content changed but not its metadata: the file was damaged

SNAPSHOT:folder compares only a folder.`,
  arguments: { usage: 'snapshotID snapshotID', minimum: 0, maximum: Number.POSITIVE_INFINITY },
  flags,
  examples: [
    { text: 'what changed', command: 'holdfast diff 5845b002 2ab627a6' },
    { text: 'in one folder', command: 'holdfast diff 5845b002:home/anna latest:home/anna' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/diff.ts')).diff(invocation),
};
