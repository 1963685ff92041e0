import type { Command } from '../command.ts';
import { repositoryExitCodes } from '../help.ts';

/** `holdfast parity`; what it does is loaded only when it runs. */
export const command: Command = {
  name: 'parity',
  summary: 'Protect packs against rot with error-correcting parity',
  description: `
Makes parity for every pack, and remembers to make it for new ones: of each pack any PERCENT of its bytes may then be lost, by
rot or truncation, and "holdfast repair packs" puts it back as it was, without a second copy. It takes about as much
more room. Parity lies in the folder "parity" of the repository, which restic does not look at.

Without PERCENT it tells how much parity there is. With 0 it removes all parity and makes none for new packs.`,
  arguments: { usage: '[PERCENT]', minimum: 0, maximum: 1 },
  flags: {},
  examples: [
    { text: 'how much parity there is', command: 'holdfast parity' },
    { text: 'a tenth of each pack may be lost', command: 'holdfast parity 10' },
    { text: 'no more parity', command: 'holdfast parity 0' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/parity.ts')).parity(invocation),
};
