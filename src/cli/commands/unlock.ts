import type { Command } from '../command.ts';

/** Flags of `holdfast unlock`, besides the global ones. */
export const flags = {
  removeAll: {
    kind: 'boolean',
    name: 'remove-all',
    description: 'remove all locks, also of processes that still work',
  },
} as const;

/** All flags of `holdfast unlock` but the global ones. */
export type UnlockFlags = typeof flags;

/** `holdfast unlock`; what it does is loaded only when it runs. */
export const command: Command<UnlockFlags> = {
  name: 'unlock',
  summary: 'Remove locks other processes created',
  description: `
Removes locks that are stale: older than 30 minutes, or of a process on this host that does not exist any more. With
--remove-all it removes every lock: make sure that nobody works on the repository then.

It is seldom needed: every command removes the locks of its own machine that a crash left, and watches others that seem
left for some minutes before it removes them. Use it when you know that they were left and do not want to wait.

Also removes the temporary files that programs left behind when they were killed while they wrote, once these are a day
old. Nothing refers to them.`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags,
  examples: [
    { text: 'after a crash', command: 'holdfast unlock' },
    { text: 'when nobody works on the repository', command: 'holdfast unlock --remove-all' },
  ],
  exitCodes: [0, 1, 10, 12, 130],
  run: async (invocation) => (await import('../actions/unlock.ts')).unlock(invocation),
};
