import type { Command, CommandGroup } from '../command.ts';
import { type ServerFlags, serverFlags } from '../server-flags.ts';

const listFlags = {
  state: {
    kind: 'choice',
    name: 'state',
    placeholder: 'state',
    choices: ['queued', 'running', 'ended'],
    description: 'those in one state, one of (queued|running|ended)',
  },
  outcome: {
    kind: 'choice',
    name: 'outcome',
    placeholder: 'outcome',
    choices: [
      'success',
      'incomplete',
      'failed',
      'waiting',
      'cancelled',
      'interrupted',
      'superseded',
    ],
    description: 'those that ended so, such as success, failed or cancelled',
  },
  source: {
    kind: 'text',
    name: 'source',
    placeholder: 'name',
    description: 'those of one source',
  },
  count: {
    kind: 'integer',
    name: 'count',
    placeholder: 'n',
    minimum: 1,
    maximum: 200,
    description: 'at most so many',
    defaultText: '20',
  },
} as const;

/** Flags of `holdfast runs list`. */
export type RunsListFlags = ServerFlags & typeof listFlags;

const followFlags = {
  follow: {
    kind: 'boolean',
    name: 'follow',
    description: 'print its log as it grows, until it has ended',
  },
} as const;

/** Flags of `holdfast runs show` and `start`. */
export type RunsFollowFlags = ServerFlags & typeof followFlags;

const list: Command<RunsListFlags> = {
  name: 'runs list',
  summary: 'List runs of a server, the newest first',
  description: 'Lists what a server runs, will run at once, and has run.',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: { ...serverFlags, ...listFlags },
  examples: [
    { text: 'the last ones', command: 'holdfast runs list' },
    { text: 'what failed', command: 'holdfast runs list --outcome failed' },
  ],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/runs.ts')).runsList(invocation),
};

const show: Command<RunsFollowFlags> = {
  name: 'runs show',
  summary: 'Show one run of a server, with its log and problems',
  description: 'Shows what a run did, why it ran, and every problem that it had.',
  arguments: { usage: 'ID', minimum: 1, maximum: 1, complete: [] },
  flags: { ...serverFlags, ...followFlags },
  examples: [
    {
      text: 'while it runs',
      command: 'holdfast runs show 01a20bc605ab0000ab238c4f057768ff --follow',
    },
  ],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/runs.ts')).runsShow(invocation),
};

const start: Command<RunsFollowFlags> = {
  name: 'runs start',
  summary: 'Run a duty now, also outside of its windows',
  description: `
Has a server run a duty now, such as "back up documents"; without one, lists the duties that there are, when each succeeded last and
when it starts next. With --follow the exit code is that of the run: 3 if its snapshot lacks something.`,
  arguments: { usage: '[DUTY]', minimum: 0, maximum: 1, complete: [] },
  flags: { ...serverFlags, ...followFlags },
  examples: [
    { text: 'which there are', command: 'holdfast runs start' },
    { text: 'back up now', command: 'holdfast runs start "back up documents" --follow' },
  ],
  exitCodes: [0, 1, 3],
  run: async (invocation) => (await import('../actions/runs.ts')).runsStart(invocation),
};

const cancel: Command<ServerFlags> = {
  name: 'runs cancel',
  summary: 'Cancel a run of a server',
  description: 'Ends a run: one that waits at once, one under way within five seconds.',
  arguments: { usage: 'ID', minimum: 1, maximum: 1, complete: [] },
  flags: serverFlags,
  examples: [{ text: 'end one', command: 'holdfast runs cancel 01a20bc605ab0000ab238c4f057768ff' }],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/runs.ts')).runsCancel(invocation),
};

const restoreFlags = {
  target: {
    kind: 'text',
    name: 'target',
    short: 't',
    placeholder: 'directory',
    description: 'a folder of the machine of the server that is not there yet',
  },
  path: {
    kind: 'text',
    name: 'path',
    placeholder: 'path',
    description: 'a folder in the snapshot',
    defaultText: 'the whole snapshot',
  },
} as const;

/** Flags of `holdfast runs restore`. */
export type RunsRestoreFlags = RunsFollowFlags & typeof restoreFlags;

const restore: Command<RunsRestoreFlags> = {
  name: 'runs restore',
  summary: 'Have a server restore a snapshot',
  description: `
Has a server restore a snapshot of one of its repositories to a new folder of its machine, before everything else that waits, and read back what
it wrote. Without a snapshot, lists those of the repository.`,
  arguments: { usage: 'REPOSITORY [SNAPSHOT]', minimum: 1, maximum: 2, complete: [] },
  flags: { ...serverFlags, ...followFlags, ...restoreFlags },
  examples: [
    { text: 'which there are', command: 'holdfast runs restore disk' },
    {
      text: 'one of them',
      command: 'holdfast runs restore disk 2e0be6cc --target /srv/restored --follow',
    },
  ],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/runs.ts')).runsRestore(invocation),
};

/** The commands of `holdfast runs`. */
export const command: CommandGroup = {
  name: 'runs',
  summary: 'Look at runs of a server, start, cancel, restore',
  description: `
A run is one execution of anything that a server does: a backup, a copy, a restore. Log in first with "holdfast login".`,
  commands: [list, show, start, cancel, restore],
  examples: [
    { text: 'the last ones', command: 'holdfast runs list' },
    { text: 'back up now', command: 'holdfast runs start "back up documents" --follow' },
  ],
};
