import type { Command, CommandGroup } from '../command.ts';
import { type FilterFlags, filterFlags } from '../filter-flags.ts';
import { fromFlags } from '../from-repository.ts';
import { repositoryExitCodes } from '../help.ts';
import { fromFolderFlags, type RepairSourceFlags } from '../repair-sources.ts';

/** Flags of `holdfast repair index`, and of its old name `rebuild-index`. */
export const indexFlags = {
  readAllPacks: {
    kind: 'boolean',
    name: 'read-all-packs',
    description: 'read the header of every pack and believe no index file',
  },
  readData: {
    kind: 'boolean',
    name: 'read-data',
    description: 'read packs whole before they are listed, also where index files are lost',
  },
  headersOnly: {
    kind: 'boolean',
    name: 'headers-only',
    description: 'believe the headers of packs, as restic does, and read no pack whole',
  },
} as const;

/** All flags of `holdfast repair index` but the global ones. */
export type RepairIndexFlags = typeof indexFlags;

/** `holdfast repair index`; what it does is loaded only when it runs. */
export const repairIndex: Command<RepairIndexFlags> = {
  name: 'repair index',
  summary: 'Build a new index',
  description: `
Makes the index list what the packs hold: reads the headers of packs that no index file lists, or lists in another size,
and leaves out packs that are gone. The new index is stored before an old file goes. Of a damaged pack, the blobs that can
still be read are listed: "holdfast repair packs" saves them.

A pack that no index file lists is read whole before, as a rule: a later backup would lean on what is listed. Where index
files are damaged or all are gone, its header is believed, since all data would have to be read: --read-data does that.`,
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags: indexFlags,
  examples: [
    { text: 'after "check" found damage of the index', command: 'holdfast repair index' },
    { text: 'from the packs alone', command: 'holdfast repair index --read-all-packs' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/repair-index.ts')).repairIndex(invocation),
};

/** All flags of `holdfast repair packs` but the global ones. */
export type RepairPacksFlags = RepairSourceFlags;

const repairPacks: Command<RepairPacksFlags> = {
  name: 'repair packs',
  summary: 'Salvage damaged pack files',
  description: `
Saves what can still be read of the packs given: stores it in new packs, makes the index list these, and removes the damaged
packs, whose bytes are kept as files "pack-ID" in the current directory. What cannot be read any more is taken from a
second repository (--from-repo) or from the files that were backed up (--from-folder), where it is found. Files that lose
content all the same are named. A pack of which nothing is wrong is left alone.`,
  arguments: { usage: 'packID ...', minimum: 1, maximum: Number.POSITIVE_INFINITY },
  flags: { ...fromFlags, ...fromFolderFlags },
  examples: [
    {
      text: 'a pack that "check --read-data" names',
      command:
        'holdfast repair packs 2bb23e8df122d72d3b8e2b01454b1e2d4cd3696fa1f67adc9b60248312bf96b9',
    },
    {
      text: 'with the help of the files that were backed up',
      command:
        'holdfast repair packs --from-folder /home 2bb23e8df122d72d3b8e2b01454b1e2d4cd3696fa1f67adc9b60248312bf96b9',
    },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/repair-packs.ts')).repairPacks(invocation),
};

/** Flags that only `holdfast repair snapshots` has. */
export const snapshotsFlags = {
  dryRun: {
    kind: 'boolean',
    name: 'dry-run',
    short: 'n',
    description: 'change nothing, only tell what would be done',
  },
  forget: {
    kind: 'boolean',
    name: 'forget',
    description: 'remove the old snapshots once the new ones are stored',
  },
} as const;

/** All flags of `holdfast repair snapshots` but the global ones. */
export type RepairSnapshotsFlags = typeof snapshotsFlags & FilterFlags & RepairSourceFlags;

const repairSnapshots: Command<RepairSnapshotsFlags> = {
  name: 'repair snapshots',
  summary: 'Repair snapshots',
  description: `
Stores snapshots of which something is missing anew without it: files without the content that is lost, empty folders in
place of lost ones. Before that, missing content is looked for in a second repository (--from-repo) and in the files that
were backed up (--from-folder); what is found there is put back, and the snapshots that need it stay as they are.

The new snapshots have the tag "repaired". The old ones are kept until --forget is given. Run "holdfast repair index" before;
a backup of the same files, where they are still there, heals more than this command.`,
  arguments: { usage: '[snapshotID ...]', minimum: 0, maximum: Number.POSITIVE_INFINITY },
  flags: { ...snapshotsFlags, ...filterFlags, ...fromFlags, ...fromFolderFlags },
  examples: [
    { text: 'what would change', command: 'holdfast repair snapshots --dry-run' },
    {
      text: 'with the help of a copy of the repository',
      command: 'holdfast repair snapshots --from-repo /mnt/second',
    },
    { text: 'replace the damaged ones', command: 'holdfast repair snapshots --forget' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) =>
    (await import('../actions/repair-snapshots.ts')).repairSnapshots(invocation),
};

/** `holdfast repair`: a command for each thing that can be damaged. */
export const command: CommandGroup = {
  name: 'repair',
  summary: 'Repair the repository',
  description: `
Repairs what "holdfast check" finds, and never makes it worse: what can still be read is saved first, and originals are
kept until told otherwise. Begin with "repair index".`,
  commands: [repairIndex, repairPacks, repairSnapshots],
  examples: [{ text: 'first of all', command: 'holdfast repair index' }],
};
