/** Flags of commands that work on all snapshots unless some are chosen. */
export const filterFlags = {
  hosts: {
    kind: 'texts',
    name: 'host',
    short: 'H',
    placeholder: 'host',
    variable: 'HOST',
    description:
      "only snapshots of this host (can be given several times; '' switches the default off)",
  },
  tags: {
    kind: 'texts',
    name: 'tag',
    placeholder: 'tag[,tag,...]',
    description:
      "only snapshots with all of these tags (can be given several times for a choice; '' means untagged)",
  },
  paths: {
    kind: 'texts',
    name: 'path',
    placeholder: 'path',
    description:
      'only snapshots that include this absolute path (can be given several times, all must be included)',
  },
} as const;

/** The flags that choose snapshots by host, tag and path. */
export type FilterFlags = typeof filterFlags;
