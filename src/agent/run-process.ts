import { systemEnvironment } from '../base/environment.ts';
import { describeError, HoldfastError, isHoldfastError } from '../base/errors.ts';
import { hasStuckThreads } from '../base/stuck-threads.ts';
import type { Monitor, Progress } from '../base/monitor.ts';
import { serializeError } from '../base/serialized-errors.ts';
import { endProcess } from '../platform/machine.ts';
import { dutiesOf } from '../policy/duties.ts';
import { attachRepository } from './attach-repository.ts';
import type { AgentHost, RunListener } from './host.ts';
import type { DutyMemory, DutyRecord } from './memory.ts';
import { performDuty } from './perform-duty.ts';
import { listSnapshots, restoreSnapshot } from './snapshot-work.ts';
import type { DutyReport, DutyTask, RunAnswer, RunRequest, RunTask } from './run-messages.ts';

/**
 * The main module of a process that does one piece of work for a server, and ends. What goes wrong in it, a cancel that has to be
 * forced among them, leaves the server alone.
 */
const controller = new AbortController();

/** Progress is told so often at most, in milliseconds. */
const progressMsMin = 250;

/** Hears what any kind of work does. */
interface RunMonitor extends Monitor {
  progress(progress: Progress): void;
}

function tell(answer: RunAnswer): void {
  if (process.connected) process.send?.(answer);
}

function cancel(): void {
  controller.abort(new HoldfastError('CANCELLED'));
}

/** Tells what goes on, progress not more often than anybody looks. */
function teller(): RunMonitor {
  const { clock } = systemEnvironment;
  let toldMs = Number.NEGATIVE_INFINITY;
  return {
    note,
    problem: ({ item, error }) => {
      const text = describeError(error);
      tell({ type: 'line', level: 'problem', text: item === '' ? text : `${item}: ${text}` });
    },
    progress: (progress) => {
      const nowMs = clock.monotonicMs();
      if (nowMs - toldMs < progressMsMin) return;
      toldMs = nowMs;
      tell({ type: 'progress', progress });
    },
  };
}

function listenerTo(monitor: RunMonitor): RunListener {
  return {
    started: () => {},
    finished: () => {},
    note: (_, text) => monitor.note(text),
    problem: (_, problem) => monitor.problem(problem),
    progress: (_, progress) => monitor.progress(progress),
  };
}

function note(text: string): void {
  tell({ type: 'line', level: 'note', text });
}

function hostOf({ variables, cachePath, programVersion }: RunTask, monitor: RunMonitor): AgentHost {
  return {
    environment: systemEnvironment,
    signal: controller.signal,
    variables,
    programVersion,
    cache: { base: () => cachePath, cleanUp: false, tell: note, warn: note },
    listener: listenerTo(monitor),
  };
}

async function work(task: RunTask): Promise<RunAnswer> {
  const monitor = teller();
  const host = hostOf(task, monitor);
  switch (task.kind) {
    case 'attach':
      return { type: 'attach', report: await attachRepository(host, task) };
    case 'snapshots':
      return { type: 'snapshots', report: await listSnapshots(host, task) };
    case 'restore':
      return { type: 'restore', report: await restoreSnapshot(host, task, monitor) };
    case 'duty':
      return { type: 'duty', report: await performTask(host, task) };
  }
}

async function performTask(host: AgentHost, task: DutyTask): Promise<DutyReport> {
  const { estate, dutyId, slotMs } = task;
  const duties = dutiesOf(estate, host.environment.clock.wallMs());
  const duty = duties.find(({ id }) => id === dutyId);
  if (!duty) throw new HoldfastError('NOT_THERE', { message: 'the duty is not there any more' });
  let record: DutyRecord | undefined = task.record;
  const memory: DutyMemory = {
    load: () => record,
    save: (_, next) => {
      record = next;
    },
  };
  const result = await performDuty({ host, estate, memory }, duty, slotMs);
  const { outcome, durationMs, attempts, summary, problems, problemCount } = result;
  return {
    outcome,
    durationMs,
    attempts,
    summary,
    problems,
    problemCount,
    output: result.output,
    snapshotId: result.snapshotId,
    errorCode: isHoldfastError(result.error) ? result.error.code : undefined,
    record,
  };
}

async function main(task: RunTask): Promise<void> {
  let answer: RunAnswer;
  try {
    answer = await work(task);
  } catch (error) {
    answer = { type: 'failed', error: serializeError(error) };
  }
  if (process.connected) {
    await new Promise<void>((resolve) => {
      process.send?.(answer, undefined, undefined, () => resolve());
    });
  }
  if (hasStuckThreads()) endProcess(0);
  process.exit(0);
}

process.on('message', (request: RunRequest) => {
  if (request.type === 'cancel') cancel();
  else void main(request.task);
});
// The server is gone: nobody would hear what this comes to, and the next server does it again.
process.on('disconnect', cancel);
// Of a terminal they reach the server as well, which cancels in order.
process.on('SIGINT', () => {});
process.on('SIGTERM', cancel);
tell({ type: 'ready' });
