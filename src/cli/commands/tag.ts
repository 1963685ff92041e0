import type { Command } from '../command.ts';
import { type FilterFlags, filterFlags } from '../filter-flags.ts';
import { repositoryExitCodes } from '../help.ts';

/** Flags that only `holdfast tag` has. */
export const flags = {
  set: {
    kind: 'texts',
    name: 'set',
    placeholder: 'tags',
    description: 'replace all tags by these, separated by comma (can be given several times)',
  },
  add: {
    kind: 'texts',
    name: 'add',
    placeholder: 'tags',
    description: 'add these tags (can be given several times)',
  },
  remove: {
    kind: 'texts',
    name: 'remove',
    placeholder: 'tags',
    description: 'remove these tags (can be given several times)',
  },
} as const;

/** All flags of `holdfast tag` but the global ones. */
export type TagFlags = FilterFlags & typeof flags;

/** `holdfast tag`; what it does is loaded only when it runs. */
export const command: Command<TagFlags> = {
  name: 'tag',
  summary: 'Modify tags on snapshots',
  description: `
Sets, adds or removes tags of the snapshots given, or of all that fit --host, --tag and --path. A snapshot never changes:
it is stored anew with another id, which remembers the first id, and the old one is removed.`,
  arguments: { usage: '[snapshotID ...]', minimum: 0, maximum: Number.POSITIVE_INFINITY },
  flags: { ...filterFlags, ...flags },
  examples: [
    { text: 'mark the newest', command: 'holdfast tag --add before-upgrade latest' },
    { text: 'replace the tags of a host', command: 'holdfast tag --set daily,web --host www1' },
  ],
  exitCodes: repositoryExitCodes,
  run: async (invocation) => (await import('../actions/tag.ts')).tag(invocation),
};
