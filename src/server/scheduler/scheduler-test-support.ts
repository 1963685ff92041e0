import type { DutyReport, DutyTask, RestoreTask } from '../../agent/run-messages.ts';
import type { RunChildOptions } from '../../agent/run-child.ts';
import { cancelled } from '../../base/abort.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { StateBed } from '../server-test-support.ts';
import type { RunRow } from '../state/tables.ts';
import type { Workers } from './carry-run.ts';
import { Scheduler } from './scheduler.ts';

/** For tests: schedulers on a clock that goes on when all of them sleep, with work as the test wants it. */

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** Time that the test moves. Sleep takes no less than `stepMs`, so that months pass in seconds. */
export class SimulatedClock implements Clock {
  wall: number;
  monotonic = 0;
  stepMs = 1000;
  readonly #sleepers = new Set<Sleeper>();

  constructor(wall: number) {
    this.wall = wall;
  }

  wallNs = (): bigint => BigInt(this.wall) * 1_000_000n;
  wallMs = (): number => this.wall;
  monotonicMs = (): number => this.monotonic;
  nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  /** What is stored from time to time is stored at the end. */
  every = (): Timer => ({ stop: () => {} });

  get sleepingCount(): number {
    return this.#sleepers.size;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(cancelled(signal));
      const stop = (): void => {
        this.#sleepers.delete(sleeper);
        if (signal) reject(cancelled(signal));
      };
      const sleeper: Sleeper = {
        atMs: this.monotonic + Math.max(ms, this.stepMs),
        wake: () => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', stop);
          resolve();
        },
      };
      this.#sleepers.add(sleeper);
      signal?.addEventListener('abort', stop, { once: true });
    });
  }

  /** Goes on to when the next of who sleeps wakes, at most to `endMs`. */
  step(endMs: number): void {
    const nextMs = Math.min(endMs, ...[...this.#sleepers].map(({ atMs }) => atMs));
    this.wall += nextMs - this.monotonic;
    this.monotonic = nextMs;
    for (const sleeper of this.#sleepers) if (sleeper.atMs <= nextMs) sleeper.wake();
  }
}

/** A piece of work, and how it is to end. */
export type Script = (task: DutyTask, options: RunChildOptions) => Promise<Partial<DutyReport>>;

/** A server without its HTTP side. */
export class SchedulerBed {
  readonly bed: StateBed;
  readonly clock: SimulatedClock;
  readonly scheduler: Scheduler;
  readonly told: string[] = [];
  /** What was begun, in order. */
  readonly begun: { readonly duty: string; readonly slot: string; readonly at: string }[] = [];
  readonly restored: RestoreTask[] = [];
  script: Script = async () => ({});
  /** Runs that wait in their script for the test. */
  heldCount = 0;

  constructor(
    bed: StateBed,
    clock: SimulatedClock,
    { isAlone = true, workers }: { readonly isAlone?: boolean; readonly workers?: Workers } = {},
  ) {
    this.bed = bed;
    this.clock = clock;
    this.scheduler = new Scheduler({
      place: {
        state: bed.state,
        estate: bed.estate,
        runs: bed.runs,
        workers: workers ?? this.#workers(),
        variables: {},
        cachePath: '/nowhere',
        programVersion: 'test',
      },
      leases: bed.leases,
      alerts: bed.alerts,
      holder: 'test',
      isAlone,
      tell: (event, error) => this.told.push(`${event}: ${String(error)}`),
    });
  }

  #workers(): Workers {
    return {
      duty: async (task, options) => {
        const { dutyId, slotMs, record } = task;
        const now = this.clock.wallMs();
        this.begun.push({ duty: dutyId, slot: timeText(slotMs), at: timeText(now) });
        const end = await this.script(task, options);
        const { outcome = 'success' } = end;
        const sinceMs = record?.sinceMs ?? now;
        const isSuccess = outcome === 'success';
        return {
          outcome,
          durationMs: 0,
          attempts: 1,
          summary: outcome,
          problems: [],
          problemCount: 0,
          output: undefined,
          snapshotId: undefined,
          errorCode: undefined,
          record: isSuccess ? { sinceMs, servedMs: slotMs, lastSuccessMs: now } : record,
          ...end,
        };
      },
      restore: async (task) => {
        this.restored.push(task);
        return { summary: 'restored', snapshotId: task.snapshotId, problems: [], problemCount: 0 };
      },
    };
  }

  /** A script that ends when it is cancelled, or released. */
  held(): { readonly script: Script; readonly release: () => void } {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const script: Script = async (_, { signal }) => {
      this.heldCount++;
      try {
        return await new Promise((resolve, reject) => {
          void released.then(() => resolve({}));
          if (signal.aborted) reject(cancelled(signal));
          signal.addEventListener('abort', () => reject(cancelled(signal)), { once: true });
        });
      } finally {
        this.heldCount--;
      }
    };
    return { script, release };
  }

  get isSettled(): boolean {
    return this.scheduler.runningCount === this.heldCount;
  }

  async runs(): Promise<RunRow[]> {
    const rows = await this.bed.runs.list({}, { after: undefined, limit: 10_000 });
    return rows.toReversed();
  }
}

/** Waits until every scheduler sleeps and no run is under way but those that are held. */
export async function settle(clock: SimulatedClock, beds: readonly SchedulerBed[]): Promise<void> {
  const isQuiet = (): boolean =>
    clock.sleepingCount >= beds.length && beds.every(({ isSettled }) => isSettled);
  while (!isQuiet()) await clock.nextTurn();
}

/** Lets time pass, with all that happens in it. */
export async function pass(
  clock: SimulatedClock,
  beds: readonly SchedulerBed[],
  ms: number,
): Promise<void> {
  const endMs = clock.monotonic + ms;
  await settle(clock, beds);
  while (clock.monotonic < endMs) {
    clock.step(endMs);
    await settle(clock, beds);
  }
}

/** A time, as tests show it. */
export function timeText(ms: number): string {
  return new Date(ms).toISOString().replace(':00.000Z', 'Z');
}
