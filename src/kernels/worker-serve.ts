import { isMainThread, parentPort, type Transferable, workerData } from 'node:worker_threads';
import { assert, defined } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
import { type Random, systemRandom } from '../base/random.ts';
import { serializeError } from '../base/serialized-errors.ts';
import { closingFlag, type MessageFromWorker, type MessageToWorker } from './worker-messages.ts';

/** What a handler may use while it works on one request, and until then only. */
export interface WorkerReply<Event = unknown> {
  /** Sends a message to `onEvent` of the request. Order is kept; the response comes last. */
  event(message: Event, transfer?: readonly Transferable[]): void;
  /** True once the pool closes: nobody waits for the rest of the work. Cheap, and true also amid synchronous work. */
  isCancelled(): boolean;
}

/** An answer with things to transfer. */
export interface TransferredResponse<Response> {
  readonly value: Response;
  readonly transfer: readonly Transferable[];
}

/** Answers one request, at once or later. What it throws is thrown to the caller of `run`. */
export type WorkerHandler<Request, Response, Event = unknown> = (
  request: Request,
  reply: WorkerReply<Event>,
) => Response | TransferredResponse<Response> | Promise<Response | TransferredResponse<Response>>;

/** What a worker has of the world. */
export interface WorkerParts<Data> {
  /** As the pool was given it. */
  readonly data: Data;
  readonly random: Random;
  /** It may wait for another thread: false in a process of one thread, where nobody would end the wait. */
  readonly mayBlock: boolean;
}

/** Makes the handler of one worker. */
export type WorkerStart<Data, Request, Response, Event = unknown> = (
  parts: WorkerParts<Data>,
) => WorkerHandler<Request, Response, Event>;

/** The worker's end of the way to its pool. */
export interface WorkerPort<Request, Response, Event> {
  post(message: MessageFromWorker<Response, Event>, transfer: readonly Transferable[]): void;
  listen(listener: (message: MessageToWorker<Request>) => void): void;
  /** Ends the worker. */
  end(): void;
}

/** Workers that this thread can run itself, by the address of their module: see `InlineWorker`. */
export const inlineStarts: Map<string, WorkerStart<never, never, unknown>> = new Map();

/**
 * Answers the pool's requests with the handler that `start` makes, one at a time and in order. Call it once, at the end
 * of a worker's module. The thread ends when the pool closes. In the main thread it only tells how to start such a
 * worker there.
 * @param module address of the worker's module
 */
export function serveWorker<
  Data,
  Request extends { readonly type: string },
  Response,
  Event = unknown,
>(module: string, start: WorkerStart<Data, Request, Response, Event>): void {
  if (isMainThread) {
    inlineStarts.set(module, start);
    return;
  }
  // What starts a worker's module gives it this.
  const handler = start({ data: workerData as Data, random: systemRandom, mayBlock: true });
  serveOn(threadPort<Request, Response, Event>(), handler);
}

/** Answers what comes through `port`. */
export function serveOn<Request, Response, Event>(
  port: WorkerPort<Request, Response, Event>,
  handler: WorkerHandler<Request, Response, Event>,
): void {
  new WorkerServer(port, handler).listen();
}

function threadPort<Request, Response, Event>(): WorkerPort<Request, Response, Event> {
  const port = defined(parentPort, 'a worker thread has a port');
  return {
    post: (message, transfer) => port.postMessage(message, [...transfer]),
    listen: (listener) => void port.on('message', listener),
    // Native contexts are freed in this thread's exit handlers, which a mere termination would skip.
    end: () => process.exit(0),
  };
}

class WorkerServer<Request, Response, Event> {
  readonly #port: WorkerPort<Request, Response, Event>;
  readonly #handler: WorkerHandler<Request, Response, Event>;
  readonly #queue: MessageToWorker<Request>[] = [];
  #flags: Int32Array | undefined;
  #isBusy = false;

  constructor(
    port: WorkerPort<Request, Response, Event>,
    handler: WorkerHandler<Request, Response, Event>,
  ) {
    this.#port = port;
    this.#handler = handler;
  }

  listen(): void {
    this.#port.listen((message) => {
      this.#queue.push(message);
      if (!this.#isBusy) void this.#work();
    });
  }

  /** Works off the queue. Never throws: failures are sent. */
  async #work(): Promise<void> {
    this.#isBusy = true;
    for (let message = this.#queue.shift(); message; message = this.#queue.shift()) {
      if (message.type === 'start') this.#start(message.flags);
      else if (message.type === 'request') await this.#answer(message.id, message.request);
      else this.#port.end();
    }
    this.#isBusy = false;
  }

  #start(flags: Int32Array): void {
    this.#flags = flags;
    this.#send({ type: 'ready' });
  }

  async #answer(id: number, request: Request): Promise<void> {
    let isOpen = true;
    const reply: WorkerReply<Event> = {
      event: (message, transfer) => {
        assert(isOpen, 'a worker sends events before its response');
        this.#send({ type: 'event', id, message }, transfer);
      },
      isCancelled: () => this.#isClosing(),
    };
    try {
      if (this.#isClosing()) throw new HoldfastError('CANCELLED');
      const answer = this.#handler(request, reply);
      const result = answer instanceof Promise ? await answer : answer;
      isOpen = false;
      if (isTransferred(result)) {
        this.#send({ type: 'response', id, value: result.value }, result.transfer);
      } else {
        this.#send({ type: 'response', id, value: result });
      }
    } catch (error) {
      isOpen = false;
      this.#send({ type: 'failure', id, error: serializeError(error) });
    }
  }

  #isClosing(): boolean {
    return this.#flags !== undefined && Atomics.load(this.#flags, closingFlag) !== 0;
  }

  #send(message: MessageFromWorker<Response, Event>, transfer: readonly Transferable[] = []): void {
    this.#port.post(message, transfer);
  }
}

function isTransferred<Response>(
  result: Response | TransferredResponse<Response>,
): result is TransferredResponse<Response> {
  if (typeof result !== 'object' || result === null) return false;
  return 'value' in result && 'transfer' in result && Array.isArray(result.transfer);
}
