import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';

import type { ProgramRun } from '../tools/run-program.ts';
import { type Command, type KillPoint, tracerOf } from './killed-run.ts';

/** Enough for what takes a second: a program that does not stop is killed then, and seen by that. */
const stopMsMax = 60_000;

/**
 * Runs a command, stops it when one of its threads is about to make a call, and lets it go on with a signal.
 *
 * The tracer could send the signal by itself, but only to that thread, and threads of a pool take none.
 */
export function interrupted(
  command: Command,
  { call, nth }: KillPoint,
  signal: NodeJS.Signals,
): Promise<ProgramRun> {
  const inject = `inject=${call}:signal=STOP:when=${nth}`;
  const how = ['-o', '|cat >&3', '-e', `trace=${call}`, '-e', inject];
  const { program, args, variables } = tracerOf(command, how);
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'] ?? '', LC_ALL: 'C.UTF-8', ...variables },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    timeout: stopMsMax,
    killSignal: 'SIGKILL',
  });
  let [output, errors, log] = ['', '', ''];
  let isSent = false;
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
    if (!isSent) process.kill(Number(thread), signal);
    isSent = true;
    process.kill(Number(thread), 'SIGCONT');
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (exitCode, by) => resolve({ exitCode, signal: by, output, errors }));
  });
}

function areAll(threads: readonly string[], stopped: readonly (string | undefined)[]): boolean {
  return threads.every((thread) => stopped.includes(thread));
}

/** All threads of the process that a thread belongs to. */
function threadsOf(thread: string): readonly string[] {
  return readdirSync(`/proc/${thread}/task`);
}
