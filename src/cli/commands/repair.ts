import type { Command, CommandGroup } from '../command.ts';
import { repositoryExitCodes } from '../help.ts';

export const indexFlags = {
  readAllPacks: {
    kind: 'boolean',
    name: 'read-all-packs',
    description: 'read the header of every pack and believe no index file',
  },
} as const;

export type RepairIndexFlags = typeof indexFlags;

export const repairIndex: Command<RepairIndexFlags> = {
  name: 'repair index',
  summary: 'Build a new index',
  description: `
Makes the index list what the packs hold: reads the headers of packs that no index file lists, or lists in another size,
and leaves out packs that are gone. The new index is stored before an old file goes. Of a pack that lost its header, the
blobs that can still be read stay listed: "holdfast repair packs" saves them.`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: indexFlags,
  examples: [
    { text: 'after "check" found damage of the index', command: 'holdfast repair index' },
    { text: 'from the packs alone', command: 'holdfast repair index --read-all-packs' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/repair-index.ts')).repairIndex(invocation),
};

export const command: CommandGroup = {
  name: 'repair',
  summary: 'Repair the repository',
  description: `
Repairs what "holdfast check" finds, and never makes it worse: what can still be read is saved first, and originals are
kept until told otherwise. Begin with "repair index".`,
  commands: [repairIndex],
  examples: [{ text: 'first of all', command: 'holdfast repair index' }],
};
