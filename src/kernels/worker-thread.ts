import { noteStuckThread } from '../base/stuck-threads.ts';
import type { Transferable, Worker } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import type { Clock } from '../base/clock.ts';
import { HoldfastError } from '../base/errors.ts';
import { deserializeError } from '../base/serialized-errors.ts';
import type { MessageFromWorker, MessageToWorker } from './worker-messages.ts';

/** A request on its way, and who waits for it. */
export interface Call<Request, Response, Event> {
  readonly id: number;
  readonly request: Request;
  readonly transfer: readonly Transferable[];
  readonly onEvent: ((event: Event) => void) | undefined;
  resolve(value: Response): void;
  reject(error: unknown): void;
}

/**
 * Life of a worker thread: starting, then ready, then closing, then closed. From each of the first three it may
 * fail instead, which ends in closed too.
 */
export type WorkerState = 'starting' | 'ready' | 'closing' | 'closed';

/**
 * A thread that does not come up within this time has failed. One that cannot come up ends by itself, which is seen at
 * once; a machine with ten times more to do than it can takes minutes to start one, and that is no failure.
 */
export const workerStartMsMax = 600_000;

/** A thread that has not ended by itself within this time is stopped. */
export const workerCloseMsMax = 3_000;

/** A thread that has not stopped within this time is stuck in a system call, and is left behind. */
export const workerStopMsMax = 1_000;

/** Who hears of a worker. */
export interface WorkerListeners<Response, Event> {
  onMessage(message: MessageFromWorker<Response, Event>): void;
  /** It cannot go on, or a message of it cannot be read. */
  onError(cause: unknown): void;
  onExit(exitCode: number): void;
}

/** The pool's end of the way to a worker. */
export interface WorkerEnd<Request> {
  post(message: MessageToWorker<Request>, transfer: readonly Transferable[]): void;
  /** Stops it amid its work; `onExit` is called once it has stopped. */
  terminate(): void;
  /** From now on it does not keep the process alive. */
  unref(): void;
}

/** The way to a thread. */
export function threadEnd<Request, Response, Event>(
  worker: Worker,
  listeners: WorkerListeners<Response, Event>,
): WorkerEnd<Request> {
  worker.once('exit', (exitCode) => listeners.onExit(exitCode));
  worker.on('message', (message: MessageFromWorker<Response, Event>) =>
    listeners.onMessage(message),
  );
  worker.on('error', (cause) => listeners.onError(cause));
  worker.on('messageerror', (cause) => listeners.onError(cause));
  return {
    post: (message, transfer) => worker.postMessage(message, [...transfer]),
    terminate: () => void worker.terminate(),
    unref: () => worker.unref(),
  };
}

/** What a thread tells its pool. */
export interface WorkerListener {
  /** A call has been answered; another may be sent. */
  onFree(): void;
  /** The thread ended though nobody asked it to. */
  onFailed(error: HoldfastError): void;
}

/** One worker of a pool, usually a thread, with the calls it is working on. */
export class WorkerThread<Request, Response, Event> {
  readonly #worker: WorkerEnd<Request>;
  readonly #clock: Clock;
  readonly #listener: WorkerListener;
  /**
   * Few, and no `Map`: the engine links its tables as they are made anew, the old one to the next. One that it has moved among the
   * objects that it collects rarely would keep alive all that calls referred to since then.
   */
  #calls: readonly Call<Request, Response, Event>[] = [];
  readonly #ended: Promise<void>;
  readonly #ready: Promise<void>;
  #state: WorkerState = 'starting';
  #markReady: () => void = () => {};
  #failStart: (error: HoldfastError) => void = () => {};

  constructor(
    connect: (listeners: WorkerListeners<Response, Event>) => WorkerEnd<Request>,
    clock: Clock,
    listener: WorkerListener,
  ) {
    this.#clock = clock;
    this.#listener = listener;
    this.#ready = new Promise((resolve, reject) => {
      this.#markReady = resolve;
      this.#failStart = reject;
    });
    this.#ready.catch(() => {});
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ended = promise;
    this.#worker = connect({
      onMessage: (message) => this.#receive(message),
      onError: (cause) => this.#end(new HoldfastError('WORKER_FAILED', { cause })),
      onExit: (exitCode) => {
        this.#end(new HoldfastError('WORKER_FAILED', { details: { exitCode } }));
        resolve();
      },
    });
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** Number of calls that are not answered yet. */
  get callCount(): number {
    return this.#calls.length;
  }

  /** Resolves when the thread takes requests. @throws WORKER_FAILED if it ends or takes too long */
  async start(flags: Int32Array): Promise<void> {
    this.#post({ type: 'start', flags }, []);
    const isReady = this.#ready.then(() => true);
    if (await this.#within(isReady, workerStartMsMax)) return;
    const details = { startMsMax: workerStartMsMax };
    throw new HoldfastError('WORKER_FAILED', {
      message: 'a worker thread did not start in time',
      details,
    });
  }

  /** Sends a call. Its promise is settled by the answer, or by the end of the thread. */
  send(call: Call<Request, Response, Event>): void {
    assert(this.#state === 'ready', 'calls go to threads that are ready');
    this.#calls = [...this.#calls, call];
    try {
      this.#post({ type: 'request', id: call.id, request: call.request }, call.transfer);
    } catch (cause) {
      this.#forget(call.id);
      call.reject(new HoldfastError('WORKER_FAILED', { cause }));
    }
  }

  /**
   * Lets the thread finish what it works on, for a limited time, and ends it. Never throws.
   *
   * A thread that waits for a file system that does not answer cannot be ended: it is left behind.
   */
  async close(): Promise<void> {
    if (this.#state !== 'closed') {
      this.#state = 'closing';
      this.#post({ type: 'close' }, []);
    }
    const hasEnded = await this.#within(
      this.#ended.then(() => true),
      workerCloseMsMax,
    );
    if (hasEnded) return;
    // Resolves when the thread has ended, which is looked at instead.
    this.#worker.terminate();
    const hasStopped = await this.#within(
      this.#ended.then(() => true),
      workerStopMsMax,
    );
    if (hasStopped) return;
    noteStuckThread();
    this.#worker.unref();
    this.#end(new HoldfastError('CANCELLED'));
  }

  #receive(message: MessageFromWorker<Response, Event>): void {
    if (message.type === 'ready') {
      if (this.#state === 'starting') this.#state = 'ready';
      this.#markReady();
      return;
    }
    const call = this.#calls.find(({ id }) => id === message.id);
    if (call === undefined) return;
    if (message.type === 'event') {
      hear(call, message.message);
      return;
    }
    this.#forget(message.id);
    if (message.type === 'response') call.resolve(message.value);
    else call.reject(deserializeError(message.error));
    this.#listener.onFree();
  }

  #forget(id: number): void {
    this.#calls = this.#calls.filter((call) => call.id !== id);
  }

  /** The thread is gone or beyond use: `error` for whoever waits, unless it was asked to end. */
  #end(error: HoldfastError): void {
    if (this.#state === 'closed') return;
    const wasAsked = this.#state === 'closing';
    this.#state = 'closed';
    const reason = wasAsked ? new HoldfastError('CANCELLED') : error;
    this.#failStart(reason);
    const calls = this.#calls;
    this.#calls = [];
    for (const call of calls) call.reject(reason);
    if (!wasAsked) this.#listener.onFailed(error);
  }

  /** True if `done` comes within `ms`. */
  async #within(done: Promise<boolean>, ms: number): Promise<boolean> {
    const timer = new AbortController();
    const wait = async (): Promise<boolean> => {
      await this.#clock.sleep(ms, timer.signal);
      // After this process was stopped for a while a message may wait to be heard.
      for (let turn = 0; turn < 3; turn++) await this.#clock.nextTurn();
      return false;
    };
    const late = wait().catch(() => false);
    try {
      return await Promise.race([done, late]);
    } finally {
      timer.abort();
    }
  }

  #post(message: MessageToWorker<Request>, transfer: readonly Transferable[]): void {
    this.#worker.post(message, transfer);
  }
}

function hear<Event>(call: Call<unknown, never, Event>, event: Event): void {
  try {
    call.onEvent?.(event);
  } catch (error) {
    call.reject(error);
  }
}
