import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';

import type { ProgramRun } from '../tools/run-program.ts';
import { type Command, type KillPoint, tracerOf } from './killed-run.ts';

/** Enough for what takes a second: a program that does not stop is killed then, and seen by that. */
const stopMsMax = 60_000;

/** A run that was stopped, and went on. */
export interface PausedRun extends ProgramRun {
  /** False if it never made the call. */
  readonly wasPaused: boolean;
}

/**
 * Runs a command, stops it when one of its threads is about to make a call, and lets it go on with a signal.
 *
 * The tracer could send the signal by itself, but only to that thread, and threads of a pool take none.
 */
export function interrupted(
  command: Command,
  point: KillPoint,
  signal: NodeJS.Signals,
): Promise<ProgramRun> {
  return paused(command, point, { meanwhile: async (id) => void process.kill(id, signal) });
}

/** What happens while a program stands still. */
export interface Pause {
  /** @param id of one of its threads */
  readonly meanwhile: (id: number) => Promise<void>;
  /** Most time that all takes, in milliseconds: a program that takes longer is killed, and seen by that. */
  readonly runMsMax?: number;
}

/** Runs a command, stops it when one of its threads is about to make a call, and lets it go on when something was done. */
export function paused(
  command: Command,
  { call, nth }: KillPoint,
  { meanwhile, runMsMax = stopMsMax }: Pause,
): Promise<PausedRun> {
  const inject = `inject=${call}:signal=STOP:when=${nth}`;
  const how = ['-o', '|cat >&3', '-e', `trace=${call}`, '-e', inject];
  const { program, args, variables } = tracerOf(command, how);
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', ...variables },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    timeout: runMsMax,
    killSignal: 'SIGKILL',
  });
  let [output, errors, log] = ['', '', ''];
  let done: Promise<void> | undefined;
  child.stdout?.on('data', (part: Buffer) => (output += part.toString()));
  child.stderr?.on('data', (part: Buffer) => (errors += part.toString()));
  child.stdio[3]?.on('data', (part: Buffer) => {
    log += part.toString();
    const stopped = [...log.matchAll(/^(\d+) +--- stopped by SIGSTOP ---$/gm)].map(([, id]) => id);
    const [thread] = stopped;
    // What is sent before all of them stand still may be lost on the tracer.
    if (thread === undefined || !areAll(threadsOf(thread), stopped)) return;
    log = '';
    // Each thread stops once: at its own call of this number.
    done ??= meanwhile(Number(thread));
    void done.finally(() => process.kill(Number(thread), 'SIGCONT'));
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, by) => {
      const result = { exitCode, signal: by, output, errors, wasPaused: done !== undefined };
      (done ?? Promise.resolve()).then(() => resolve(result), reject);
    });
  });
}

function areAll(threads: readonly string[], stopped: readonly (string | undefined)[]): boolean {
  return threads.every((thread) => stopped.includes(thread));
}

/** All threads of the process that a thread belongs to. */
function threadsOf(thread: string): readonly string[] {
  return readdirSync(`/proc/${thread}/task`);
}
