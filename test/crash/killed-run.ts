import { existsSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { password } from '../tools/engine.ts';
import { type ProgramRun, runProgram } from '../tools/run-program.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const built = `${root}dist/cli/main.js`;
const main = existsSync(built) ? built : `${root}src/cli/main.ts`;

/**
 * Calls that change what names a folder has, or what is durable. With one thread for the storage, they come from it
 * alone, one after the other.
 */
const namingCalls =
  'fsync,fdatasync,syncfs,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat,mknodat';
/** Calls that change files, which have temporary names then; `write` is what threads wake one another with, too. */
const contentCalls =
  'chmod,fchmod,fchmodat,fchown,fchownat,ftruncate,fallocate,utimensat,write,pwrite64';

/** True if every call is to be tried, those of content included: `HOLDFAST_CRASH=all`. Takes an hour. */
export const triesAll: boolean = process.env['HOLDFAST_CRASH'] === 'all';

const killedCalls: string = triesAll ? `${namingCalls},${contentCalls}` : namingCalls;

/** A command of the program, and what it is told besides. */
export interface Command {
  readonly repository: string;
  readonly args: readonly string[];
  readonly password?: string;
}

/** Runs the program undisturbed. */
export function run(command: Command): Promise<ProgramRun> {
  return runProgram(process.execPath, programOf(command), { variables: variablesOf(command) });
}

/** A call to kill at: the nth of this name that one thread makes, from 1. */
export interface KillPoint {
  readonly call: string;
  readonly nth: number;
}

/** Runs the program until it ends by itself, and lists its calls in their order. */
export async function listCalls(command: Command, log: string): Promise<KillPoint[]> {
  const result = await trace(command, ['-o', log, '-e', `trace=${killedCalls}`]);
  if (result.exitCode !== 0) throw new Error(`${command.args.join(' ')}: ${result.errors}`);
  const counts = new Map<string, number>();
  const points = new Map<string, KillPoint>();
  for (const line of readFileSync(log, 'utf8').split('\n')) {
    // Other lines tell of the ends of calls and threads. Numbers are calls that strace has no name for.
    const [, thread, call] = /^(\d+) +([a-z]\w*)\(/.exec(line) ?? [];
    if (!thread || !call || call.startsWith('syscall_')) continue;
    const nth = (counts.get(`${thread} ${call}`) ?? 0) + 1;
    counts.set(`${thread} ${call}`, nth);
    points.set(`${call} ${nth}`, { call, nth });
  }
  rmSync(log);
  return [...points.values()];
}

/**
 * Runs the program and kills it when one of its threads is about to make a call.
 * @returns whether it was killed
 */
export async function runKilled(command: Command, { call, nth }: KillPoint): Promise<boolean> {
  // strace counts each call of each thread by itself.
  const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:signal=KILL:when=${nth}`];
  const result = await trace(command, ['-o', '/dev/null', ...inject]);
  return result.signal === 'SIGKILL' || result.exitCode === 137;
}

function trace(command: Command, options: readonly string[]): Promise<ProgramRun> {
  return runProgram('strace', ['-f', '-qq', ...options, process.execPath, ...programOf(command)], {
    // Nothing may pass strace by, and one thread makes all calls of the storage.
    variables: { ...variablesOf(command), UV_USE_IO_URING: '0', UV_THREADPOOL_SIZE: '1' },
  });
}

function programOf({ repository, args }: Command): readonly string[] {
  return ['--disable-warning=ExperimentalWarning', main, '-r', repository, '--no-cache', ...args];
}

function variablesOf({ password: given = password }: Command): Record<string, string> {
  return { HOLDFAST_PASSWORD: given, TZ: 'UTC' };
}
