import type { Transferable } from 'node:worker_threads';
import type { Environment } from '../base/environment.ts';

export { serveWorker, type TransferredResponse, type WorkerReply } from './worker-serve.ts';

export interface WorkerPoolOptions {
  /** Number of threads. */
  readonly size: number;
  /** Given to each worker's module as `workerData`. */
  readonly workerData: unknown;
  readonly environment: Environment;
  readonly transferList?: readonly Transferable[];
}

export interface RunOptions<Event = unknown> {
  readonly signal?: AbortSignal | undefined;
  /** Hears what the worker sends with `reply.event` while it works on this request. */
  readonly onEvent?: (event: Event) => void;
}

/** Threads that answer requests. */
export class WorkerPool<Request extends { readonly type: string }, Response, Event = unknown> {
  readonly size: number;

  private constructor(size: number) {
    this.size = size;
  }

  static start<Request extends { readonly type: string }, Response, Event = unknown>(
    module: URL,
    options: WorkerPoolOptions,
  ): Promise<WorkerPool<Request, Response, Event>> {
    throw new Error(`not there yet ${module.href} ${options.size}`);
  }

  /** Runs on the next free worker; queued in order. */
  run(
    request: Request,
    transfer?: readonly Transferable[],
    options?: RunOptions<Event>,
  ): Promise<Response> {
    throw new Error(`not there yet ${request.type} ${transfer?.length} ${options === undefined}`);
  }

  /** Runs on worker number `worker`. */
  runOn(
    worker: number,
    request: Request,
    transfer?: readonly Transferable[],
    options?: RunOptions<Event>,
  ): Promise<Response> {
    throw new Error(
      `not there yet ${worker} ${request.type} ${transfer?.length} ${options === undefined}`,
    );
  }

  /** Runs on every worker; answers in worker order. */
  broadcast(request: Request): Promise<Response[]> {
    throw new Error(`not there yet ${request.type}`);
  }

  close(): Promise<void> {
    throw new Error('not there yet');
  }
}
