import { cancelled } from '../../src/base/abort.ts';
import type { Clock, Timer } from '../../src/base/clock.ts';
import { HoldfastError } from '../../src/base/errors.ts';
import type { EventQueue } from './event-queue.ts';

/** Whether the monotonic clock of a machine goes on while a process of it stands still. */
export type PauseKind = 'stopped' | 'asleep';

/**
 * The time of one machine, and the life of the process on it: its clock is wrong by some time and may jump; while the
 * process is paused nothing reaches it; after its death nothing does any more, and everything it waits for fails.
 */
export class ClientTime implements Clock {
  readonly #queue: EventQueue;
  readonly #machine: { readonly skewMs: number };
  #asleepMs = 0;
  #pausedSinceMs: number | undefined;
  #pauseKind: PauseKind = 'stopped';
  #backlog: (() => void)[] = [];
  /** Fails what the process waits for. */
  readonly #waits = new Set<(error: HoldfastError) => void>();
  #isAlive = true;

  /** @param machine whose wall clock is ahead of the truth by `skewMs` */
  constructor(queue: EventQueue, machine: { readonly skewMs: number }) {
    this.#queue = queue;
    this.#machine = machine;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get isPaused(): boolean {
    return this.#pausedSinceMs !== undefined;
  }

  wallMs(): number {
    return Math.floor(this.#queue.nowMs + this.#machine.skewMs);
  }

  wallNs(): bigint {
    return BigInt(Math.floor((this.#queue.nowMs + this.#machine.skewMs) * 1e3)) * 1000n;
  }

  monotonicMs(): number {
    return this.#queue.nowMs - this.#asleepMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(cancelled(signal));
    return this.wait((done) => this.#alarm(this.monotonicMs() + ms, done), signal);
  }

  nextTurn(): Promise<void> {
    return this.wait((done) => this.deliver(0, done));
  }

  every(ms: number, action: () => void): Timer {
    let isStopped = false;
    const next = (): void => {
      this.#alarm(this.monotonicMs() + ms, () => {
        if (isStopped) return;
        action();
        next();
      });
    };
    next();
    return { stop: () => void (isStopped = true) };
  }

  /** Resolves when `start` calls its argument. @throws CANCELLED at the death of the process, and by `signal` */
  wait(start: (done: () => void) => void, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (error?: HoldfastError): void => {
        this.#waits.delete(end);
        signal?.removeEventListener('abort', onAbort);
        if (error) reject(error);
        else resolve();
      };
      const onAbort = (): void => end(signal && cancelled(signal));
      if (!this.#isAlive) return end(died());
      this.#waits.add(end);
      signal?.addEventListener('abort', onAbort, { once: true });
      start(() => end());
    });
  }

  /** Has something reach the process after `delayMs`, or once it goes on. */
  deliver(delayMs: number, action: () => void): void {
    this.#queue.after(delayMs, () => {
      if (!this.#isAlive) return false;
      if (this.isPaused) this.#backlog.push(action);
      else action();
      return !this.isPaused;
    });
  }

  /** Stops the process. */
  pause(kind: PauseKind): void {
    this.#pausedSinceMs ??= this.#queue.nowMs;
    this.#pauseKind = kind;
  }

  resume(): void {
    if (this.#pausedSinceMs === undefined) return;
    if (this.#pauseKind === 'asleep') this.#asleepMs += this.#queue.nowMs - this.#pausedSinceMs;
    this.#pausedSinceMs = undefined;
    for (const action of this.#backlog.splice(0)) this.deliver(0, action);
  }

  /** The process is killed, or its machine loses power. */
  die(): void {
    this.#isAlive = false;
    for (const end of this.#waits) end(died());
  }

  #alarm(dueMs: number, action: () => void): void {
    this.deliver(Math.max(0, dueMs - this.monotonicMs()), () => {
      // The machine slept meanwhile, and the monotonic clock with it.
      if (this.monotonicMs() < dueMs - 1e-6) this.#alarm(dueMs, action);
      else action();
    });
  }
}

function died(): HoldfastError {
  return new HoldfastError('CANCELLED', { message: 'the process was killed' });
}
