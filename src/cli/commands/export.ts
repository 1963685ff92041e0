import type { Command } from '../command.ts';
import { type ServerFlags, serverFlags } from '../server-flags.ts';

/** `holdfast export`; what it does is loaded only when it runs. */
export const command: Command<ServerFlags> = {
  name: 'export',
  summary: 'Print the estate of a server as an estate file',
  description: `
Prints repositories, policies and sources of a server as a file that "holdfast apply" takes. No secret is in it: each has the name of
the variable from which it is to be read.`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: serverFlags,
  examples: [{ text: 'to keep it', command: 'holdfast export > estate.yaml' }],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/apply.ts')).exportEstate(invocation),
};
