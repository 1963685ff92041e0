import type { Command } from '../command.ts';
import { type EstateFileFlags, estateFileFlags } from '../estate-flags.ts';
import { type ServerFlags, serverFlags } from '../server-flags.ts';

const ownFlags = {
  dryRun: {
    kind: 'boolean',
    name: 'dry-run',
    short: 'n',
    description: 'show the difference, and change nothing',
  },
  yes: {
    kind: 'boolean',
    name: 'yes',
    description: 'change without asking',
  },
  create: {
    kind: 'boolean',
    name: 'create',
    description: 'make new repositories of which there is none at their location',
  },
  delete: {
    kind: 'boolean',
    name: 'delete',
    description: 'remove what the file does not have from the server; what is stored stays',
  },
  secrets: {
    kind: 'boolean',
    name: 'secrets',
    description: 'send the secrets of all repositories anew',
  },
} as const;

/** Flags of `holdfast apply`. */
export type ApplyFlags = EstateFileFlags & ServerFlags & typeof ownFlags;

/** `holdfast apply`; what it does is loaded only when it runs. */
export const command: Command<ApplyFlags> = {
  name: 'apply',
  summary: 'Make a server have what an estate file says',
  description: `
Shows how the estate of a server differs from that of a file, asks, and changes it: repositories, policies, sources. Passwords and
credentials are read here, where the file says, and sent to the server, which seals them. What the file does not have stays, unless
--delete is given. Log in first with "holdfast login".`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: { ...estateFileFlags, ...serverFlags, ...ownFlags },
  examples: [
    { text: 'what would change', command: 'holdfast apply -f estate.yaml --dry-run' },
    { text: 'in a script', command: 'holdfast apply -f estate.yaml --yes --create' },
  ],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/apply.ts')).apply(invocation),
};
