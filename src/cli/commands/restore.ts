import type { Command } from '../command.ts';
import { type FilterFlags, filterFlags } from '../filter-flags.ts';
import { repositoryExitCodes } from '../help.ts';
import { type SelectionFlags, selectionFlags } from '../selection-flags.ts';

const flags = {
  target: {
    kind: 'text',
    name: 'target',
    short: 't',
    placeholder: 'directory',
    takesBytes: true,
    description: 'folder to restore to; "/" restores in place',
  },
  includeXattrs: {
    kind: 'texts',
    name: 'include-xattr',
    placeholder: 'pattern',
    description: 'restore only extended attributes that match (can be given several times)',
  },
  excludeXattrs: {
    kind: 'texts',
    name: 'exclude-xattr',
    placeholder: 'pattern',
    description: 'leave out extended attributes that match (can be given several times)',
  },
  overwrite: {
    kind: 'choice',
    name: 'overwrite',
    placeholder: 'behavior',
    choices: ['always', 'if-changed', 'if-newer', 'never'],
    description: 'what to do with files that exist, one of (always|if-changed|if-newer|never)',
    defaultText: 'always',
  },
  delete: {
    kind: 'boolean',
    name: 'delete',
    description: "remove what is in the target but not in the snapshot; try '--dry-run -vv' first",
  },
  dryRun: {
    kind: 'boolean',
    name: 'dry-run',
    description: 'write nothing, only show what would be done',
  },
  ownershipByName: {
    kind: 'boolean',
    name: 'ownership-by-name',
    description: 'take owner and group by name, not by number (ACLs stay by number)',
  },
  sparse: { kind: 'boolean', name: 'sparse', description: 'write runs of zeros as holes' },
  verify: {
    kind: 'boolean',
    name: 'verify',
    description: 'read the restored files again and compare them',
  },
} as const;

/** All flags of `holdfast restore` but the global ones. */
export type RestoreFlags = FilterFlags & SelectionFlags & typeof flags;

/** `holdfast restore`; what it does is loaded only when it runs. */
export const command: Command<RestoreFlags> = {
  name: 'restore',
  summary: 'Extract the data from a snapshot',
  description: `
Restores a snapshot to a folder. "latest" is the newest snapshot that fits --host, --tag and --path, and SNAPSHOT:folder is
a folder within a snapshot.

A restore that was interrupted goes on where it stopped: files that are right already are not written again. What could
not be restored or set is named, and the exit code is then 1.`,
  arguments: { usage: 'snapshotID', minimum: 0, maximum: Number.POSITIVE_INFINITY },
  flags: { ...filterFlags, ...selectionFlags('restore'), ...flags },
  examples: [
    { text: 'everything', command: 'holdfast restore latest --target /tmp/restored' },
    {
      text: 'one folder, checked',
      command: 'holdfast restore latest:/home/anna --target /home/anna --verify',
    },
    {
      text: 'some files',
      command: 'holdfast restore 79766175 --target /tmp/restored --include "*.docx"',
    },
    {
      text: 'make a folder as it was',
      command: 'holdfast restore latest:/srv/www --target /srv/www --delete --dry-run -vv',
    },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/restore.ts')).restore(invocation),
};
