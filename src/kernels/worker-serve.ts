import type { Transferable } from 'node:worker_threads';

/** What a handler may use while it works on one request. */
export interface WorkerReply<Event = unknown> {
  /** Sends a message to `onEvent` of the request. */
  event(message: Event, transfer?: readonly Transferable[]): void;
  /** Aborts when the caller gave up. */
  readonly signal: AbortSignal;
}

/** An answer with things to transfer. */
export interface TransferredResponse<Response> {
  readonly value: Response;
  readonly transfer: readonly Transferable[];
}

/** Answers one request, at once or later. */
export type WorkerHandler<Request, Response, Event = unknown> = (
  request: Request,
  reply: WorkerReply<Event>,
) => Response | TransferredResponse<Response> | Promise<Response | TransferredResponse<Response>>;

/** Answers the pool's requests with `handler`, one at a time. Call it once, at the end of a worker's module. */
export function serveWorker<Request extends { readonly type: string }, Response, Event = unknown>(
  handler: WorkerHandler<Request, Response, Event>,
): void {
  throw new Error(`not there yet ${typeof handler}`);
}
