// The rows of the table: what is set up, what is timed, and the bars.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from './measure.ts';
import type { Tool } from './tools.ts';
import { benchmarkPassword, reset } from './tools.ts';

/** One line of the comparison. Ratios are holdfast divided by restic; smaller is better. */
export interface Row {
  readonly name: string;
  readonly title: string;
  readonly data: 'tree' | 'large' | 'many' | 'history' | 'none';
  readonly goal: number;
  /** Above this the work does not count as done. */
  readonly bar: number;
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
  reset(tool);
  return [tool.init()];
}

function backedUp(tool: Tool, data: string): readonly Command[] {
  return [...fresh(tool), tool.command('backup', '-q', data)];
}

/** For work that needs a repository with the data in it: the first pair makes it, later ones use it. */
function once(tool: Tool, data: string): readonly Command[] {
  const key = `${tool.name} ${data}`;
  if (prepared.has(key)) return [];
  for (const other of prepared) if (other.startsWith(`${tool.name} `)) prepared.delete(other);
  prepared.add(key);
  return backedUp(tool, data);
}
const prepared = new Set<string>();

function forgetPrepared(tool: Tool): void {
  for (const key of prepared) if (key.startsWith(`${tool.name} `)) prepared.delete(key);
}

function restoreTarget(tool: Tool): string {
  return `${tool.repository}-target`;
}

/** A repository with the data in it, and nothing restored from it. */
function emptyTarget(tool: Tool, data: string): readonly Command[] {
  rmSync(restoreTarget(tool), { recursive: true, force: true });
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

export const rows: readonly Row[] = [
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
    timed: (tool) => tool.command('restore', '-q', 'latest', '--target', restoreTarget(tool)),
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
      rmSync(restoreTarget(tool), { recursive: true, force: true });
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
    timed: (tool) => tool.command('restore', '-q', 'latest', '--target', restoreTarget(tool)),
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
      reset(tool);
      return [
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

/** Where a data set lies below the benchmark's folder. */
export function dataPath(folder: string, data: Row['data']): string {
  return join(folder, data === 'large' ? 'large.bin' : data);
}
