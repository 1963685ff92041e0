import type { Command } from '../command.ts';
import { type ServerFlags, serverFlags } from '../server-flags.ts';

const flags = {
  all: { kind: 'boolean', name: 'all', description: 'also those that are over' },
} as const;

/** Flags of `holdfast alerts`. */
export type AlertsFlags = ServerFlags & typeof flags;

/** `holdfast alerts`; what it does is loaded only when it runs. */
export const command: Command<AlertsFlags> = {
  name: 'alerts',
  summary: 'List what is wrong on a server',
  description:
    'Lists what did not succeed for too long. An alert ends by itself with the next success.',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: { ...serverFlags, ...flags },
  examples: [
    { text: 'what is wrong now', command: 'holdfast alerts' },
    { text: 'and what was', command: 'holdfast alerts --all' },
  ],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/accounts.ts')).alertsList(invocation),
};
