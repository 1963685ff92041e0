import { password } from './engine.ts';
import { mustRun, type ProgramRun, runProgram } from './run-program.ts';

/** What restic says at the end of a backup (format 19). */
export interface ResticSummary {
  readonly files_new: number;
  readonly files_changed: number;
  readonly files_unmodified: number;
  readonly data_blobs: number;
  readonly tree_blobs: number;
  readonly data_added: number;
  readonly snapshot_id: string;
}

export interface ResticSettings {
  readonly cwd?: string;
  /** Time zone, if not ours. */
  readonly zone?: string;
  /** Default: that of the repositories of the tests. */
  readonly password?: string;
}

/** The time zone is part of a tree (format 9.4), so restic must have ours. */
function variablesFor(
  repository: string,
  { zone = process.env['TZ'], password: given = password }: ResticSettings,
): Record<string, string> {
  const known = { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: given };
  return zone === undefined ? known : { ...known, TZ: zone };
}

/** Runs the official restic on a repository, where it must succeed; returns what it printed. */
export async function mustRestic(
  repository: string,
  args: readonly string[],
  settings: ResticSettings = {},
): Promise<string> {
  return mustRun('restic', ['--no-cache', ...args], {
    ...(settings.cwd === undefined ? {} : { cwd: settings.cwd }),
    variables: variablesFor(repository, settings),
  });
}

/** Runs the official restic on a repository, however it ends. */
export function runRestic(
  repository: string,
  args: readonly string[],
  settings: ResticSettings = {},
): Promise<ProgramRun> {
  return runProgram('restic', ['--no-cache', ...args], {
    ...(settings.cwd === undefined ? {} : { cwd: settings.cwd }),
    variables: variablesFor(repository, settings),
  });
}

/** Backs up with restic; returns its summary. */
export async function resticBackup(
  repository: string,
  args: readonly string[],
  settings: ResticSettings = {},
): Promise<ResticSummary> {
  const all = ['backup', '--json', '--quiet', '--host', 'host', ...args];
  const output = await mustRestic(repository, all, settings);
  const summary = output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { message_type: string })
    .find((message) => message.message_type === 'summary');
  if (!summary) throw new Error(`restic gave no summary: ${output}`);
  return summary as unknown as ResticSummary;
}

/** Tree ids of all snapshots, oldest first. */
export async function resticTrees(repository: string): Promise<string[]> {
  const output = await mustRestic(repository, ['snapshots', '--json', '--no-lock']);
  const snapshots = JSON.parse(output) as { time: string; tree: string }[];
  return snapshots.toSorted((a, b) => (a.time < b.time ? -1 : 1)).map(({ tree }) => tree);
}
