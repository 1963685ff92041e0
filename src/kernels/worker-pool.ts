import { type Transferable, Worker } from 'node:worker_threads';
import { cancelled, whenAborted } from '../base/abort.ts';
import { assert, defined } from '../base/assert.ts';
import type { Environment } from '../base/environment.ts';
import { HoldfastError } from '../base/errors.ts';
import { closingFlag } from './worker-messages.ts';
import { limitYoungHeap } from './young-heap.ts';
import { InlineWorker } from './worker-inline.ts';
import { type Call, threadEnd, WorkerThread } from './worker-thread.ts';

export { serveWorker, type TransferredResponse, type WorkerReply } from './worker-serve.ts';

/** Requests that a worker is given besides the one it works on, so that it need not wait for this thread. */
const requestsAheadMax = 1;

/** Requests that may wait for a worker; more is a defect of the caller. */
export const requestsQueuedMax = 65_536;

/** How the threads of a pool are started. */
export interface WorkerPoolOptions {
  /** Number of threads. */
  readonly size: number;
  /** Given to each worker's module as `workerData` of `node:worker_threads`. */
  readonly workerData: unknown;
  readonly environment: Environment;
  /** What of `workerData` is transferred; for a pool of one thread only. */
  readonly transferList?: readonly Transferable[];
  /** Room for either half of each thread's new objects, in MiB: see `limitYoungHeap`. Default: as in the main thread. */
  readonly youngHeapMiB?: number;
}

/** How the answer to one request is waited for. */
export interface RunOptions<Event = unknown> {
  /**
   * Gives up waiting: the promise is rejected at once. A request that a worker has begun goes on there, and
   * `onEvent` hears it.
   */
  readonly signal?: AbortSignal | undefined;
  /** Hears what the worker sends with `reply.event` for this request, in order. */
  readonly onEvent?: (event: Event) => void;
}

interface Queued<Request, Response, Event> {
  readonly call: Call<Request, Response, Event>;
  readonly thread: WorkerThread<Request, Response, Event> | undefined;
}

/**
 * Threads that answer requests, each one at a time. A thread that fails ends the pool: what it knew is lost, so every
 * request that is open or comes later is rejected with its error. The worker's module ends with `serveWorker`.
 */
export class WorkerPool<Request extends { readonly type: string }, Response, Event = unknown> {
  readonly #threads: readonly WorkerThread<Request, Response, Event>[];
  readonly #flags: Int32Array;
  #queue: Queued<Request, Response, Event>[] = [];
  #lastId = 0;
  /** Why no more requests are taken. */
  #stopped: HoldfastError | undefined;

  private constructor(module: URL, options: WorkerPoolOptions) {
    const { size, workerData, transferList = [], environment } = options;
    assert(Number.isInteger(size) && size > 0, 'a pool has at least one thread');
    assert(size === 1 || transferList.length === 0, 'one thread alone can be given something');
    this.#flags = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const listener = {
      onFree: () => this.#dispatch(),
      onFailed: (error: HoldfastError) => this.#stop(error),
    };
    this.#threads = Array.from(
      { length: size },
      () =>
        new WorkerThread<Request, Response, Event>(
          (listeners) => {
            if (!environment.isSingleThreaded) {
              const how = { workerData, transferList: [...transferList] };
              return threadEnd(new Worker(module, how), listeners);
            }
            const { random } = environment;
            const how = { data: workerData, random, transferList };
            return new InlineWorker<Request, Response, Event>(module, how, listeners);
          },
          environment.clock,
          listener,
        ),
    );
  }

  /**
   * Starts all threads.
   * @throws WORKER_FAILED if one of them does not come up; then none is left
   */
  static async start<Request extends { readonly type: string }, Response, Event = unknown>(
    module: URL,
    options: WorkerPoolOptions,
  ): Promise<WorkerPool<Request, Response, Event>> {
    const { youngHeapMiB } = options;
    const endLimit = youngHeapMiB === undefined ? () => undefined : limitYoungHeap(youngHeapMiB);
    const pool = new WorkerPool<Request, Response, Event>(module, options);
    try {
      await Promise.all(pool.#threads.map((thread) => thread.start(pool.#flags)));
      return pool;
    } catch (error) {
      await pool.close();
      throw error;
    } finally {
      endLimit();
    }
  }

  /** Number of threads. */
  get size(): number {
    return this.#threads.length;
  }

  /**
   * Runs `request` on the next free worker; requests start in the order of their calls.
   * @throws what the handler threw; CANCELLED, WORKER_FAILED
   */
  run(
    request: Request,
    transfer?: readonly Transferable[],
    options?: RunOptions<Event>,
  ): Promise<Response> {
    return this.#call(request, { transfer, options, thread: undefined });
  }

  /** As `run`, on worker number `worker`, counted from 0. */
  runOn(
    worker: number,
    request: Request,
    transfer?: readonly Transferable[],
    options?: RunOptions<Event>,
  ): Promise<Response> {
    const thread = defined(this.#threads[worker], 'the pool has such a worker');
    return this.#call(request, { transfer, options, thread });
  }

  /** Runs `request` on every worker; answers in worker order. */
  broadcast(request: Request): Promise<Response[]> {
    return Promise.all(this.#threads.map((_, worker) => this.runOn(worker, request)));
  }

  /**
   * Ends all threads: requests that no worker has begun are rejected with CANCELLED, those at work may finish within a
   * few seconds. Safe to call again. Never throws.
   */
  async close(): Promise<void> {
    Atomics.store(this.#flags, closingFlag, 1);
    this.#stop(new HoldfastError('CANCELLED'));
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  #call(
    request: Request,
    how: {
      readonly transfer: readonly Transferable[] | undefined;
      readonly options: RunOptions<Event> | undefined;
      readonly thread: WorkerThread<Request, Response, Event> | undefined;
    },
  ): Promise<Response> {
    const { transfer = [], options = {}, thread } = how;
    const { signal, onEvent } = options;
    if (signal?.aborted) return Promise.reject(cancelled(signal));
    if (this.#stopped) return Promise.reject(this.#stopped);
    assert(this.#queue.length < requestsQueuedMax, 'a pool is not sent more than it can queue');
    return new Promise<Response>((resolve, reject) => {
      const id = ++this.#lastId;
      const onAbort = (): void => {
        this.#queue = this.#queue.filter((queued) => queued.call.id !== id);
        if (signal) reject(cancelled(signal));
      };
      const settle = signal ? whenAborted(signal, onAbort) : () => undefined;
      const call: Call<Request, Response, Event> = {
        id,
        request,
        transfer,
        onEvent,
        resolve: (value) => {
          settle();
          resolve(value);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      this.#queue.push({ call, thread });
      this.#dispatch();
    });
  }

  /** Sends what can be sent, in order; a request for one worker waits for that one without holding up others. */
  #dispatch(): void {
    if (this.#queue.length === 0 || !this.#threads.some(hasRoom)) return;
    const waiting: Queued<Request, Response, Event>[] = [];
    for (const queued of this.#queue) {
      const thread = queued.thread ?? this.#leastBusy();
      if (hasRoom(thread)) thread.send(queued.call);
      else waiting.push(queued);
    }
    this.#queue = waiting;
  }

  #leastBusy(): WorkerThread<Request, Response, Event> {
    let best = defined(this.#threads[0], 'a pool has at least one thread');
    for (const thread of this.#threads) if (thread.callCount < best.callCount) best = thread;
    return best;
  }

  #stop(reason: HoldfastError): void {
    this.#stopped ??= reason;
    const queue = this.#queue;
    this.#queue = [];
    for (const { call } of queue) call.reject(this.#stopped);
  }
}

function hasRoom<Request, Response, Event>(
  thread: WorkerThread<Request, Response, Event>,
): boolean {
  return thread.state === 'ready' && thread.callCount <= requestsAheadMax;
}
