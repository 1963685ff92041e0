import { readFileSync, readlinkSync } from 'node:fs';
import { uptime } from 'node:os';
import { bootId, processExists } from './machine.ts';

/**
 * What tells this run of this process from every other one, on any machine. Parts are empty where the system does not
 * tell them: on all but Linux, nothing is known.
 */
export interface RunningProcess {
  /** The machine's id (machine-id(5)); empty in a container, whose image may have brought it. */
  readonly machine: string;
  /** Changes with every start of the machine. */
  readonly boot: string;
  /** The namespaces of process numbers and of time: what `pid` and `start` count in. */
  readonly space: string;
  /** Clock ticks from the start of the machine to that of the process (proc_pid_stat(5), field 22). */
  readonly start: string;
}

/** The namespace of process numbers that every Linux starts with has this number (PROC_PID_INIT_INO of the kernel). */
const firstProcessSpace = 'pid:[4026531836]';

/** Who this process is. Reads a few small files. */
export function thisProcess(): RunningProcess {
  const processSpace = link('/proc/self/ns/pid');
  // A kernel without namespaces of time has one time.
  const space = processSpace && `${processSpace} ${link('/proc/self/ns/time')}`.trim();
  return {
    machine: processSpace === firstProcessSpace ? content('/etc/machine-id').trim() : '',
    boot: bootId() ?? '',
    space,
    start: startOf(content('/proc/self/stat')) ?? '',
  };
}

/**
 * When a process that is visible here started, as `RunningProcess.start`. Empty: it runs, but the system does not tell
 * when it started. Undefined: no such process runs any more.
 */
export function processStart(pid: number): string | undefined {
  if (!processExists(pid)) return undefined;
  const status = content(`/proc/${pid}/stat`);
  // It may have ended since, or be hidden (hidepid of proc(5)).
  if (status === '') return processExists(pid) ? '' : undefined;
  return startOf(status);
}

/** Seconds since the machine started, those in which it slept included. */
export function machineUpSeconds(): number {
  return uptime();
}

/** Undefined for a process that has ended and only waits to be asked for its exit code. */
function startOf(status: string): string | undefined {
  // The name of the program, in parentheses, may hold blanks and parentheses itself.
  const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
  const [state = ''] = fields;
  if (['Z', 'X', 'x'].includes(state)) return undefined;
  return fields[19] ?? '';
}

function content(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
