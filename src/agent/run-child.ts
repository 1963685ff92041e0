import { type ChildProcess, fork } from 'node:child_process';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import type { Progress } from '../base/monitor.ts';
import { deserializeError } from '../base/serialized-errors.ts';
import { workerModule } from '../base/worker-module.ts';
import type {
  AttachReport,
  AttachTask,
  DutyReport,
  DutyTask,
  RestoreReport,
  RestoreTask,
  RunAnswer,
  RunLine,
  RunRequest,
  RunTask,
  SnapshotsReport,
  SnapshotsTask,
} from './run-messages.ts';

const moduleAddress = workerModule('./run-process.ts', import.meta.url);

/** How long a cancelled run may take to end in order; then it is killed. In milliseconds. */
export const cancelMsMax = 4000;

/** Variables that the process itself needs; stores and hooks see those of the task. */
const ownVariables: readonly string[] = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'LC_ALL', 'TZ'];

/** Hears what a run does meanwhile. */
export interface RunHearer {
  line(line: RunLine): void;
  progress(progress: Progress): void;
}

/** What a process is started with. */
export interface RunChildOptions {
  readonly clock: Clock;
  /** Ends it: in order if it does so in time. */
  readonly signal: AbortSignal;
  readonly hearer?: RunHearer;
}

/**
 * Carries out a duty in a process of its own.
 * @throws WORKER_FAILED if the process ends without a word, CANCELLED if it had to be killed
 */
export async function runDuty(task: DutyTask, options: RunChildOptions): Promise<DutyReport> {
  const answer = await runTask(task, options);
  if (answer.type === 'duty') return answer.report;
  throw unexpected();
}

/** Opens a repository in a process of its own. @throws as `attachRepository`, and as `runDuty` */
export async function runAttach(task: AttachTask, options: RunChildOptions): Promise<AttachReport> {
  const answer = await runTask(task, options);
  if (answer.type === 'attach') return answer.report;
  throw unexpected();
}

/** Lists snapshots in a process of its own. @throws as `listSnapshots`, and as `runDuty` */
export async function runSnapshots(
  task: SnapshotsTask,
  options: RunChildOptions,
): Promise<SnapshotsReport> {
  const answer = await runTask(task, options);
  if (answer.type === 'snapshots') return answer.report;
  throw unexpected();
}

/** Restores in a process of its own. @throws as `restoreSnapshot`, and as `runDuty` */
export async function runRestore(
  task: RestoreTask,
  options: RunChildOptions,
): Promise<RestoreReport> {
  const answer = await runTask(task, options);
  if (answer.type === 'restore') return answer.report;
  throw unexpected();
}

function unexpected(): HoldfastError {
  return new HoldfastError('WORKER_FAILED', {
    message: 'a process of a run answered what it was not asked',
  });
}

function runTask(task: RunTask, { clock, signal, hearer }: RunChildOptions): Promise<RunAnswer> {
  const child = start();
  const ended = new AbortController();
  const send = (request: RunRequest): void => {
    // One that has ended does not need to hear it.
    if (child.connected) child.send(request, () => {});
  };
  const cancel = (): void => {
    send({ type: 'cancel' });
    clock.sleep(cancelMsMax, ended.signal).then(
      () => child.kill('SIGKILL'),
      () => undefined,
    );
  };
  signal.addEventListener('abort', cancel, { once: true, signal: ended.signal });
  return new Promise<RunAnswer>((resolve, reject) => {
    let answer: RunAnswer | undefined;
    child.on('message', (message: RunAnswer) => {
      if (message.type === 'ready') {
        send({ type: 'start', task });
        if (signal.aborted) cancel();
      } else if (message.type === 'line') hearer?.line(message);
      else if (message.type === 'progress') hearer?.progress(message.progress);
      else answer = message;
    });
    const end = (how: string, cause?: Error): void => {
      if (ended.signal.aborted) return;
      ended.abort();
      if (answer?.type === 'failed') reject(deserializeError(answer.error));
      else if (answer) resolve(answer);
      else reject(silentEnd(signal, how, cause));
    };
    child.once('error', (cause) => end('could not be started', cause));
    // After the last message was heard, which 'exit' is not.
    child.once('close', (code, killedBy) => {
      end(killedBy ? `was ended by ${killedBy}` : `ended with exit code ${code}`);
    });
  });
}

function start(): ChildProcess {
  return fork(moduleAddress, [], {
    serialization: 'advanced',
    // What the runtime itself says when it fails goes where the server's messages go.
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    execArgv: [
      '--disable-sigusr1',
      '--disable-warning=ExperimentalWarning',
      '--max-semi-space-size=32',
      '--no-lazy-feedback-allocation',
      '--no-allocation-site-pretenuring',
    ],
    env: Object.fromEntries(ownVariables.map((name) => [name, process.env[name]])),
    cwd: '/',
    // A group of its own: the terminal's Ctrl-C reaches the server, which cancels in order.
    detached: true,
  });
}

function silentEnd(signal: AbortSignal, how: string, cause: Error | undefined): HoldfastError {
  if (signal.aborted) return new HoldfastError('CANCELLED');
  return new HoldfastError('WORKER_FAILED', {
    message: `the process of the run ${how}`,
    hint: 'If it was killed, look whether this machine had run out of memory.',
    ...(cause ? { cause } : {}),
  });
}
