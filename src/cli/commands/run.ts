import type { Command } from '../command.ts';
import { type EstateFileFlags, estateFileFlags } from '../estate-flags.ts';

const ownFlags = {
  all: {
    kind: 'boolean',
    name: 'all',
    description: 'run everything now, due or not, also outside of its windows',
  },
  dryRun: {
    kind: 'boolean',
    name: 'dry-run',
    short: 'n',
    description: 'run nothing, only say what would be run, and why',
  },
  wait: {
    kind: 'duration',
    name: 'wait',
    placeholder: 'duration',
    description: 'wait so long for another run of the same file that is under way, such as 2h',
    defaultText: 'fail at once',
  },
  stateDirectory: {
    kind: 'text',
    name: 'state-dir',
    placeholder: 'directory',
    variable: 'STATE_DIR',
    description: 'folder of what is remembered from one run to the next',
    defaultText: "the user's folder for state",
  },
} as const;

/** Flags of `holdfast run`, besides the global ones. */
export type RunFlags = EstateFileFlags & typeof ownFlags;

/** `holdfast run`; what it does is loaded only when it runs. */
export const command: Command<RunFlags> = {
  name: 'run',
  summary: 'Do what an estate file says is due, without a server',
  description: `
Reads an estate file (docs/ESTATE.md) and does what is due: backs up sources, copies their snapshots, applies retention, frees
space, reads stored data back and restores samples, each as often as its policy says. Meant to be called often, such as each
quarter of an hour by cron or a systemd timer: what is not due costs nothing, and what was missed while the machine was off is
done once.

NAME is a source or a repository of the file; without one it is about all of them. What fails with one thing does not keep the
others. It fails, too, if something did not succeed for longer than its policy allows, whatever it did just now.`,
  arguments: { usage: '[NAME ...]', minimum: 0, maximum: Number.POSITIVE_INFINITY, complete: [] },
  flags: { ...estateFileFlags, ...ownFlags },
  examples: [
    { text: 'what is due', command: 'holdfast run -f /etc/holdfast/estate.yaml' },
    {
      text: 'what would be done, and why',
      command: 'holdfast run -f /etc/holdfast/estate.yaml --dry-run',
    },
    {
      text: 'one source, now',
      command: 'holdfast run -f /etc/holdfast/estate.yaml --all documents',
    },
  ],
  exitCodes: [0, 1, 3, 10, 11, 12, 130],
  partialText:
    'a snapshot is stored, but some source data could not be read; nothing else went wrong',
  run: async (invocation) => (await import('../actions/run.ts')).run(invocation),
};
