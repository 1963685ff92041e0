import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';

import { systemCode } from '../../src/base/errors.ts';
import { cheapKeyed, hurried, password } from '../tools/engine.ts';
import { runCommand } from '../tools/in-process.ts';
import { program as main } from '../tools/program.ts';
import {
  compiledOnce,
  type ProgramRun,
  type RunSettings,
  runProgram,
} from '../tools/run-program.ts';
import { slowMachine } from '../tools/slow-machine.ts';

/**
 * Calls that change what is stored: names, durability, content. Those that change a repository come from one thread,
 * one after the other, as there is one thread for the storage then. `write` is not among them: the program writes files
 * at positions, and plain writes only wake threads and print.
 */
export const changingCalls: string =
  'fsync,fdatasync,syncfs,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat,' +
  'mknodat,chmod,fchmod,fchmodat,fchown,fchownat,ftruncate,fallocate,utimensat,pwrite64,pwritev,setxattr,fsetxattr';

const clockedProgram = path.join(import.meta.dirname, 'clocked-program.ts');

/** A command of the program, and what it is told besides. */
export interface Command {
  readonly repository: string;
  readonly args: readonly string[];
  readonly password?: string;
  /** What it reads from its standard input. */
  readonly input?: Uint8Array;
  /** Where it works; default: where the tests do. */
  readonly cwd?: string;
  /** A file that says how many milliseconds its clock is ahead, whenever it looks; default: it has the right time. */
  readonly clock?: string;
}

/** Runs the program undisturbed. */
export function run(command: Command): Promise<ProgramRun> {
  return runProgram(process.execPath, programOf(command), settingsOf(command));
}

function settingsOf(command: Command): RunSettings {
  const { input = '', cwd } = command;
  return { variables: variablesOf(command), input, ...(cwd === undefined ? {} : { cwd }) };
}

/**
 * Gives a command again after one that was killed, in this process unless it works in a folder or on a stream: starting
 * the program takes most of the time of these tests, and only what is killed has to be a process.
 */
export async function runAgain(command: Command): Promise<ProgramRun> {
  const { input, cwd, clock } = command;
  if (input !== undefined || cwd !== undefined || clock !== undefined) return run(command);
  const variables = { ...variablesOf(command), PATH: process.env['PATH'] ?? '' };
  const args = ['-r', command.repository, '--no-cache', ...command.args];
  const environment = makesKey(command) ? cheapKeyed() : hurried;
  return { signal: null, ...(await runCommand(args, { variables, environment })) };
}

/** A call to kill at: the nth of this name that one thread makes, from 1. */
export interface KillPoint {
  readonly call: string;
  readonly nth: number;
}

/** Which calls are traced. */
export interface TracedCalls {
  /** With commas; default: those that change something. */
  readonly calls?: string;
  /** Options of strace that choose paths. */
  readonly paths?: readonly string[];
}

/** Runs the program until it ends by itself, and lists its calls in an order that is the same each time. */
export async function listCalls(
  command: Command,
  log: string,
  traced: TracedCalls = {},
): Promise<KillPoint[]> {
  const counts = new Map<string, number>();
  const points = new Map<string, KillPoint>();
  for (const line of (await tracedCalls(command, log, traced)).split('\n')) {
    // Other lines tell of the ends of calls and threads. Numbers are calls that strace has no name for.
    const [, thread, call] = /^(\d+) +([a-z]\w*)\(/.exec(line) ?? [];
    if (!thread || !call || call.startsWith('syscall_')) continue;
    const nth = (counts.get(`${thread} ${call}`) ?? 0) + 1;
    counts.set(`${thread} ${call}`, nth);
    // The runtime keeps compiled code when it ends, the first time.
    if (!line.includes('compile-cache')) points.set(`${call} ${nth}`, { call, nth });
  }
  return [...points.values()];
}

/**
 * Runs the program until it ends by itself, which must be well.
 * @returns strace's account of the calls; files that are open by their paths
 */
export async function tracedCalls(
  command: Command,
  log: string,
  { calls = changingCalls, paths = [] }: TracedCalls = {},
): Promise<string> {
  const result = await trace(command, ['-y', '-o', log, ...paths, '-e', `trace=${calls}`]);
  if (result.exitCode !== 0) throw new Error(`${command.args.join(' ')}: ${result.errors}`);
  const text = readFileSync(log, 'utf8');
  rmSync(log);
  return text;
}

/** What happens when one of the threads is about to make a call: it is killed, or the call fails. */
export type Disturbance = 'KILL' | 'EIO' | 'ENOSPC';

/** A run that was to be disturbed. */
export interface DisturbedRun extends ProgramRun {
  /** False if it never made the call. */
  readonly wasDisturbed: boolean;
}

/** Runs the program and kills it when one of its threads is about to make a call, or has that call fail. */
export async function runDisturbed(
  command: Command,
  { call, nth }: KillPoint,
  disturbance: Disturbance,
): Promise<DisturbedRun> {
  const what = disturbance === 'KILL' ? 'signal=KILL' : `error=${disturbance}`;
  // strace counts each call of each thread by itself.
  const inject = ['-e', `trace=${call}`, '-e', `inject=${call}:${what}:when=${nth}`];
  const { program, args, variables } = tracerOf(command, ['-o', '|cat >&3', ...inject]);
  let log = '';
  let hasHung = false;
  const onLog = (part: string): void => {
    log += part;
    const [, thread] = /^(\d+) +fsync\([12]\) .*INJECTED/m.exec(log) ?? [];
    if (thread === undefined || hasHung) return;
    // The runtime syncs its output when it ends, and may wait for ever if that fails, as it never does on a real machine.
    hasHung = isKilledNow(Number(thread));
  };
  const result = await runProgram(program, args, { ...settingsOf(command), variables, onLog });
  // All was done and said before.
  const exitCode = hasHung ? Number(/^Fatal: /m.test(result.errors)) : result.exitCode;
  const isKilled = result.signal === 'SIGKILL' || result.exitCode === 137;
  const wasDisturbed = isKilled || log.includes(' (INJECTED)');
  return { ...result, ...(hasHung ? { exitCode, signal: null } : {}), wasDisturbed };
}

/** False if it has ended by itself meanwhile. */
function isKilledNow(id: number): boolean {
  try {
    return process.kill(id, 'SIGKILL');
  } catch (error) {
    if (systemCode(error) !== 'ESRCH') throw error;
    return false;
  }
}

/** Runs the program with a tracer that is told how by `options`. */
export function trace(command: Command, options: readonly string[]): Promise<ProgramRun> {
  const { program, args, variables } = tracerOf(command, options);
  return runProgram(program, args, { ...settingsOf(command), variables });
}

/** With a filter in the kernel only calls that are traced stop for the tracer; but strace 6.1 then sends no signals. */
function filterFor(options: readonly string[]): readonly string[] {
  return options.some((option) => option.includes(':signal=')) ? [] : ['--seccomp-bpf'];
}

/** How the program is started with a tracer. */
export function tracerOf(
  command: Command,
  options: readonly string[],
): {
  readonly program: string;
  readonly args: readonly string[];
  readonly variables: Readonly<Record<string, string>>;
} {
  return {
    program: 'strace',
    args: ['-f', '-qq', ...filterFor(options), ...options, process.execPath, ...programOf(command)],
    // Nothing may pass strace by, and one thread makes all calls of the storage.
    variables: { ...variablesOf(command), UV_USE_IO_URING: '0', UV_THREADPOOL_SIZE: '1' },
  };
}

function programOf({ repository, args, clock }: Command): readonly string[] {
  const start = clock === undefined ? [main] : [clockedProgram, clock];
  const options = ['-r', repository, '--no-cache', ...args];
  return ['--disable-warning=ExperimentalWarning', ...start, ...options];
}

function variablesOf(command: Command): Record<string, string> {
  const { password: given = password, clock } = command;
  const variables = { HOLDFAST_PASSWORD: given, TZ: 'UTC' };
  if (clock !== undefined) return { ...variables, ...compiledOnce };
  return makesKey(command) ? { ...variables, ...slowMachine } : variables;
}

function makesKey({ args: [name = ''] }: Command): boolean {
  return ['init', 'key'].includes(name);
}

/** Gives a command (again), which must succeed. */
export async function mustSucceed(command: Command): Promise<void> {
  const { exitCode, output, errors } = await runAgain(command);
  if (exitCode === 0) return;
  throw new Error(`${command.args.join(' ')}: exit code ${exitCode}\n${output}${errors}`);
}
