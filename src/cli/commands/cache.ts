import type { Command } from '../command.ts';

/** Flags of `holdfast cache`, besides the global ones. */
export const flags = {
  cleanup: {
    kind: 'boolean',
    name: 'cleanup',
    description: 'remove folders of repositories that were not used for a long time',
  },
  maxAgeDays: {
    kind: 'integer',
    name: 'max-age',
    placeholder: 'days',
    minimum: 0,
    maximum: 1_000_000,
    description: 'age in days from which a folder counts as old',
    defaultText: '30',
  },
  noSize: {
    kind: 'boolean',
    name: 'no-size',
    description: 'do not add up the size of the folders',
  },
} as const;

/** All flags of `holdfast cache` but the global ones. */
export type CacheFlags = typeof flags;

/** `holdfast cache`; what it does is loaded only when it runs. */
export const command: Command<CacheFlags> = {
  name: 'cache',
  summary: 'Operate on local cache directories',
  description:
    'Lists the folders of the local cache, one a repository, or removes old ones. The cache only saves time: it can be removed at any moment.',
  arguments: { usage: '', minimum: 0, maximum: 0 },
  flags,
  examples: [
    { text: 'what is in the cache', command: 'holdfast cache' },
    { text: 'remove what is old', command: 'holdfast cache --cleanup' },
  ],
  exitCodes: [0, 1],
  run: async (invocation) => (await import('../actions/cache.ts')).cache(invocation),
};
