// The rows of the table: what is set up, what is timed, and the bars.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from './measure.ts';
import type { StoreLine } from './servers.ts';
import { benchmarkPassword, type Tool } from './tools.ts';

/** One line of the comparison. Ratios are holdfast divided by restic; smaller is better. */
export interface Row {
  readonly name: string;
  readonly title: string;
  readonly data: 'tree' | 'large' | 'many' | 'history' | 'none';
  readonly goal: number;
  /** Above this the work does not count as done. */
  readonly bar: number;
  /** Where the repositories are; absent: in folders of this machine. */
  readonly store?: StoreLine;
  /** Compare how often the storage is asked, instead of the time. */
  readonly comparesRequests?: boolean;
  /** Commands before each timed one that are not timed. */
  prepare(tool: Tool, data: string): readonly Command[];
  timed(tool: Tool, data: string): Command;
  /** Compare the size of the repository after the timed command. */
  readonly comparesSize?: boolean;
  /** The largest process may have this, in MiB; default: `peakMiBMaxDefault`. */
  readonly peakMiBMax?: number;
}

/** What a process may have resident for most rows, in MiB. */
export const peakMiBMaxDefault = 500;
/** For rows of a million files. */
const peakMiBMaxOfMany = 1024;

function fresh(tool: Tool): readonly Command[] {
  return [...tool.empty(), tool.init()];
}

function backedUp(tool: Tool, data: string): readonly Command[] {
  return [...fresh(tool), tool.command('backup', '-q', data)];
}

/** For work that needs a repository with the data in it: the first pair makes it, later ones use it. */
function once(tool: Tool, data: string): readonly Command[] {
  if (prepared.get(tool.repository) === data) return [];
  prepared.set(tool.repository, data);
  return backedUp(tool, data);
}
/** What is in each repository. */
const prepared = new Map<string, string>();

function forgetPrepared(tool: Tool): void {
  prepared.delete(tool.repository);
}

/** A repository with the data in it, and nothing restored from it. */
function emptyTarget(tool: Tool, data: string): readonly Command[] {
  rmSync(tool.target, { recursive: true, force: true });
  return once(tool, data);
}

function manySnapshots(tool: Tool): Command {
  const script = fileURLToPath(new URL('make-snapshots.ts', import.meta.url));
  const { environment } = tool.command();
  return { program: process.execPath, args: [script, tool.repository, '1000'], environment };
}

function removalOfIndex(tool: Tool): Command {
  const args = [join(tool.repository, 'index'), '-type', 'f', '-delete'];
  return { program: 'find', args, environment: {} };
}

/** Prints the password of all repositories of the benchmark. */
const passwordCommand = `echo ${benchmarkPassword}`;

const localRows: readonly Row[] = [
  {
    name: 'first',
    title: 'first backup, 110,000 files, 2.2 GB',
    data: 'tree',
    goal: 0.33,
    bar: 0.5,
    prepare: (tool) => {
      forgetPrepared(tool);
      return fresh(tool);
    },
    timed: (tool, data) => tool.command('backup', '-q', data),
    comparesSize: true,
  },
  {
    name: 'unchanged',
    title: 'second backup, nothing changed',
    data: 'tree',
    goal: 0.25,
    bar: 0.4,
    prepare: once,
    timed: (tool, data) => tool.command('backup', '-q', data),
  },
  {
    name: 'force',
    title: '--force re-read of the same tree',
    data: 'tree',
    goal: 0.5,
    bar: 0.7,
    prepare: once,
    timed: (tool, data) => tool.command('backup', '-q', '--force', data),
  },
  {
    name: 'restore',
    title: 'restore of the tree',
    data: 'tree',
    goal: 0.5,
    bar: 0.75,
    prepare: emptyTarget,
    timed: (tool) => tool.command('restore', '-q', 'latest', '--target', tool.target),
  },
  {
    name: 'check',
    title: 'check --read-data',
    data: 'tree',
    goal: 0.6,
    bar: 0.8,
    prepare: emptyTarget,
    timed: (tool) => tool.command('check', '-q', '--read-data'),
  },
  {
    name: 'forget',
    title: 'forget over 1,000 snapshots, of which 960 go',
    data: 'none',
    goal: 0.5,
    bar: 0.8,
    prepare: (tool) => {
      forgetPrepared(tool);
      return [...fresh(tool), manySnapshots(tool)];
    },
    timed: (tool) =>
      tool.command(
        'forget',
        '-q',
        '--keep-hourly=24',
        '--keep-daily=14',
        '--keep-weekly=8',
        '--keep-monthly=12',
      ),
  },
  {
    name: 'repair-index',
    title: 'repair index, all index files lost',
    data: 'tree',
    goal: 0.5,
    bar: 0.8,
    prepare: (tool, data) => {
      rmSync(tool.target, { recursive: true, force: true });
      return [...once(tool, data), removalOfIndex(tool)];
    },
    timed: (tool) => tool.command('repair', 'index', '-q'),
  },
  {
    name: 'large',
    title: 'first backup of one 2 GiB incompressible file',
    data: 'large',
    goal: 0.3,
    bar: 0.45,
    prepare: (tool) => {
      forgetPrepared(tool);
      return fresh(tool);
    },
    timed: (tool, data) => tool.command('backup', '-q', data),
  },
  {
    name: 'large-again',
    title: 're-read of that file',
    data: 'large',
    goal: 0.45,
    bar: 0.65,
    prepare: once,
    timed: (tool, data) => tool.command('backup', '-q', '--force', data),
  },
  {
    name: 'many',
    title: 'first backup of 1,000,000 files of 200 bytes',
    data: 'many',
    goal: 0.33,
    bar: 0.5,
    prepare: (tool) => {
      forgetPrepared(tool);
      return fresh(tool);
    },
    timed: (tool, data) => tool.command('backup', '-q', data),
    comparesSize: true,
    peakMiBMax: peakMiBMaxOfMany,
  },
  {
    name: 'many-unchanged',
    title: 'second backup of them, nothing changed',
    data: 'many',
    goal: 0.25,
    bar: 0.4,
    prepare: once,
    timed: (tool, data) => tool.command('backup', '-q', data),
    peakMiBMax: peakMiBMaxOfMany,
  },
  {
    name: 'many-force',
    title: '--force re-read of them',
    data: 'many',
    goal: 0.5,
    bar: 0.7,
    prepare: once,
    timed: (tool, data) => tool.command('backup', '-q', '--force', data),
    peakMiBMax: peakMiBMaxOfMany,
  },
  {
    name: 'many-restore',
    title: 'restore of them',
    data: 'many',
    goal: 0.5,
    bar: 0.75,
    prepare: emptyTarget,
    timed: (tool) => tool.command('restore', '-q', 'latest', '--target', tool.target),
    peakMiBMax: peakMiBMaxOfMany,
  },
  {
    name: 'many-check',
    title: 'check --read-data of them',
    data: 'many',
    goal: 0.6,
    bar: 0.8,
    prepare: emptyTarget,
    timed: (tool) => tool.command('check', '-q', '--read-data'),
    peakMiBMax: peakMiBMaxOfMany,
  },
  {
    name: 'copy',
    title: 'copy of 10 snapshots, 30,000 files, 1 GB, to an empty repository',
    data: 'history',
    goal: 0.5,
    bar: 0.8,
    prepare: (tool) => {
      forgetPrepared(tool);
      return fresh(tool);
    },
    timed: (tool, data) =>
      tool.command('copy', '-q', '--from-repo', data, '--from-password-command', passwordCommand),
    comparesSize: true,
  },
  {
    name: 'prune',
    title: 'prune after half of the snapshots are gone, at once',
    data: 'history',
    goal: 0.5,
    bar: 0.8,
    prepare: (tool, data) => {
      forgetPrepared(tool);
      return [
        ...tool.empty(),
        { program: 'cp', args: ['-a', data, tool.repository], environment: {} },
        tool.command('forget', '-q', '--keep-last=5'),
      ];
    },
    // restic's deletes at once; Holdfast's does so where it is told that nobody else works with the repository.
    timed: (tool) =>
      tool.command('prune', '-q', ...(tool.name === 'holdfast' ? ['--instant'] : [])),
    comparesSize: true,
  },
];

/** What stores are called in titles. */
const storeTitles = { sftp: 'SFTP', rest: 'REST', s3: 'S3' } as const;

function backupTo({ kind, by }: StoreLine): Row {
  return {
    name: `${kind}${by === 'far' ? '-far' : ''}-backup`,
    title: `first backup of the tree to ${storeTitles[kind]}${by === 'far' ? ', 50 ms away' : ''}`,
    data: 'tree',
    store: { kind, ...(by && { by }) },
    goal: 0.6,
    bar: 0.9,
    prepare: (tool, data) => {
      // What is timed leaves the data in it.
      prepared.set(tool.repository, data);
      return fresh(tool);
    },
    timed: (tool, data) => tool.command('backup', '-q', data),
  };
}

function restoreFrom({ kind, by }: StoreLine): Row {
  return {
    name: `${kind}${by === 'far' ? '-far' : ''}-restore`,
    title: `restore of it from ${storeTitles[kind]}${by === 'far' ? ', 50 ms away' : ''}`,
    data: 'tree',
    store: { kind, ...(by && { by }) },
    goal: 0.6,
    bar: 0.9,
    prepare: emptyTarget,
    timed: (tool) => tool.command('restore', '-q', 'latest', '--target', tool.target),
  };
}

function requestsOf(kind: StoreLine['kind']): Row {
  return {
    name: `${kind}-requests`,
    title: `requests to ${storeTitles[kind]} of a backup of nothing changed`,
    data: 'tree',
    store: { kind, by: 'counted' },
    comparesRequests: true,
    goal: 1,
    bar: 1,
    prepare: once,
    timed: (tool, data) => tool.command('backup', '-q', data),
  };
}

/** What SFTP is asked is encrypted: nobody counts it. */
const storeRows: readonly Row[] = (['sftp', 'rest', 's3'] as const).flatMap((kind) => [
  backupTo({ kind }),
  restoreFrom({ kind }),
  backupTo({ kind, by: 'far' }),
  restoreFrom({ kind, by: 'far' }),
  ...(kind === 'sftp' ? [] : [requestsOf(kind)]),
]);

export const rows: readonly Row[] = [...localRows, ...storeRows];

/** The rows of these names; `stores` names all that are about a store. No names: what needs neither hours nor servers. */
export function chooseRows(names: readonly string[]): readonly Row[] {
  if (names.length === 0) {
    return rows.filter(({ name, store }) => !name.startsWith('many') && !store);
  }
  return rows.filter(
    ({ name, store }) => names.includes(name) || (store && names.includes('stores')),
  );
}

/** Where a data set lies below the benchmark's folder. */
export function dataPath(folder: string, data: Row['data']): string {
  return join(folder, data === 'large' ? 'large.bin' : data);
}
