/** Flags that choose what `backup` reads. */
export const sourceFlags = {
  excludes: {
    kind: 'texts',
    name: 'exclude',
    short: 'e',
    placeholder: 'pattern',
    description: 'leave out what matches the pattern (can be given several times)',
  },
  excludesIgnoringCase: {
    kind: 'texts',
    name: 'iexclude',
    placeholder: 'pattern',
    description: 'the same, but upper and lower case do not matter',
  },
  excludeFiles: {
    kind: 'texts',
    name: 'exclude-file',
    placeholder: 'file',
    description: 'read exclude patterns from a file (can be given several times)',
  },
  excludeFilesIgnoringCase: {
    kind: 'texts',
    name: 'iexclude-file',
    placeholder: 'file',
    description: 'the same, but upper and lower case do not matter',
  },
  excludeCaches: {
    kind: 'boolean',
    name: 'exclude-caches',
    description: 'leave out the content of cache folders, which a CACHEDIR.TAG file marks',
  },
  excludeIfPresent: {
    kind: 'texts',
    name: 'exclude-if-present',
    placeholder: 'filename[:header]',
    description:
      'leave out the content of folders with this file, if it begins with the header (can be given several times)',
  },
  excludeLargerThan: {
    kind: 'size',
    name: 'exclude-larger-than',
    placeholder: 'size',
    description: 'leave out files larger than this (suffixes k, m, g, t)',
  },
  oneFileSystem: {
    kind: 'boolean',
    name: 'one-file-system',
    short: 'x',
    description: 'do not cross into other file systems',
  },
  filesFrom: {
    kind: 'texts',
    name: 'files-from',
    placeholder: 'file',
    description: 'read patterns of what to back up from a file, or from standard input with "-"',
  },
  filesFromVerbatim: {
    kind: 'texts',
    name: 'files-from-verbatim',
    placeholder: 'file',
    description: 'read what to back up from a file, one path a line',
  },
  filesFromRaw: {
    kind: 'texts',
    name: 'files-from-raw',
    placeholder: 'file',
    description: 'read what to back up from a file, paths ended by NUL',
  },
  stdin: { kind: 'boolean', name: 'stdin', description: 'back up standard input as one file' },
  stdinFromCommand: {
    kind: 'boolean',
    name: 'stdin-from-command',
    description: 'run the arguments as a command and back up its output as one file',
  },
  stdinFilename: {
    kind: 'text',
    name: 'stdin-filename',
    placeholder: 'filename',
    description: 'name of that file in the snapshot',
    defaultText: 'stdin',
  },
} as const;

/** Flags that say how `backup` works and what the snapshot is called. */
export const snapshotFlags = {
  dryRun: {
    kind: 'boolean',
    name: 'dry-run',
    short: 'n',
    description: 'store nothing, only show what would be done',
  },
  force: {
    kind: 'boolean',
    name: 'force',
    short: 'f',
    description: 'read all files again, whatever the last snapshot says',
  },
  groupBy: {
    kind: 'text',
    name: 'group-by',
    short: 'g',
    placeholder: 'group',
    description:
      "which of host, paths and tags the last snapshot must share with the new one ('' for none)",
    defaultText: 'host,paths',
  },
  host: {
    kind: 'text',
    name: 'host',
    short: 'H',
    placeholder: 'hostname',
    variable: 'HOST',
    description: 'host name of the snapshot',
    defaultText: 'this host',
  },
  ignoreCtime: {
    kind: 'boolean',
    name: 'ignore-ctime',
    variable: 'IGNORE_CTIME',
    description: 'a changed ctime alone does not make a file read again',
  },
  ignoreInode: {
    kind: 'boolean',
    name: 'ignore-inode',
    variable: 'IGNORE_INODE',
    description: 'a changed inode number or ctime alone does not make a file read again',
  },
  noScan: {
    kind: 'boolean',
    name: 'no-scan',
    description: 'do not count the files first; progress then has no total',
  },
  parent: {
    kind: 'text',
    name: 'parent',
    placeholder: 'snapshot',
    description: 'the snapshot that tells which files have not changed',
    defaultText: 'the newest of the group',
  },
  readConcurrency: {
    kind: 'integer',
    name: 'read-concurrency',
    placeholder: 'n',
    minimum: 0,
    maximum: 1024,
    variable: 'READ_CONCURRENCY',
    description: 'read so many files at once',
    defaultText: 'as many as there are processors',
  },
  parity: {
    kind: 'integer',
    name: 'parity',
    placeholder: 'percent',
    minimum: 0,
    maximum: 100,
    description:
      'make parity for new packs, so that this share of each may rot and be healed; later backups go on with it',
    defaultText: 'as the repository remembers',
  },
  skipIfUnchanged: {
    kind: 'boolean',
    name: 'skip-if-unchanged',
    description: 'make no snapshot if nothing changed since the last one',
  },
  tags: {
    kind: 'texts',
    name: 'tag',
    placeholder: 'tags',
    description: 'tags of the snapshot, separated by comma (can be given several times)',
  },
  time: {
    kind: 'text',
    name: 'time',
    placeholder: 'time',
    description: "time of the snapshot, such as '2012-11-01 22:08:41'",
    defaultText: 'now',
  },
  withAtime: {
    kind: 'boolean',
    name: 'with-atime',
    description: 'store the time of the last access too',
  },
} as const;

/** All flags of `holdfast backup` but the global ones. */
export type BackupFlags = typeof sourceFlags & typeof snapshotFlags;

/** What is read and how it is stored: the flags of both tables, whose names do not overlap. */
export const backupFlags: BackupFlags = { ...sourceFlags, ...snapshotFlags };
