import { parentPort, type Transferable } from 'node:worker_threads';
import { assert, defined } from '../base/assert.ts';
import { HoldfastError } from '../base/errors.ts';
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

/**
 * Answers the pool's requests with `handler`, one at a time and in order. Call it once, at the end of a worker's
 * module, and not in the main thread. The thread ends when the pool closes.
 */
export function serveWorker<Request extends { readonly type: string }, Response, Event = unknown>(
  handler: WorkerHandler<Request, Response, Event>,
): void {
  new WorkerServer(handler).listen();
}

class WorkerServer<Request, Response, Event> {
  readonly #handler: WorkerHandler<Request, Response, Event>;
  readonly #port = defined(parentPort, 'serveWorker runs in a worker thread');
  readonly #queue: MessageToWorker<Request>[] = [];
  #flags: Int32Array | undefined;
  #isBusy = false;

  constructor(handler: WorkerHandler<Request, Response, Event>) {
    this.#handler = handler;
  }

  listen(): void {
    this.#port.on('message', (message: MessageToWorker<Request>) => {
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
      // Native contexts are freed in this thread's exit handlers, which a mere termination would skip.
      else process.exit(0);
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
    this.#port.postMessage(message, [...transfer]);
  }
}

function isTransferred<Response>(
  result: Response | TransferredResponse<Response>,
): result is TransferredResponse<Response> {
  if (typeof result !== 'object' || result === null) return false;
  return 'value' in result && 'transfer' in result && Array.isArray(result.transfer);
}
