import type { Transferable } from 'node:worker_threads';
import type { Random } from '../base/random.ts';
import type { MessageFromWorker, MessageToWorker } from './worker-messages.ts';
import { inlineStarts, serveOn } from './worker-serve.ts';
import type { WorkerEnd, WorkerListeners } from './worker-thread.ts';

interface InlineOptions {
  readonly data: unknown;
  readonly random: Random;
  readonly transferList: readonly Transferable[];
}

/**
 * A worker that runs in the thread of its pool, between turns: what a simulator needs, so that its seed decides the order
 * of everything. Messages are cloned and transferred as between threads, and arrive later, in order.
 *
 * The first worker of a module starts only when that is loaded; later ones take no turn of the event loop.
 */
export class InlineWorker<Request, Response, Event> implements WorkerEnd<Request> {
  readonly #inbox: MessageToWorker<Request>[] = [];
  readonly #listeners: WorkerListeners<Response, Event>;
  #receive: ((message: MessageToWorker<Request>) => void) | undefined;
  #hasEnded = false;

  constructor(module: URL, how: InlineOptions, listeners: WorkerListeners<Response, Event>) {
    const { random } = how;
    const clone = cloned(how.data, how.transferList);
    this.#listeners = listeners;
    if (inlineStarts.has(module.href)) {
      queueMicrotask(() => this.#start(module, { data: clone, random }));
    } else {
      import(module.href).then(
        () => this.#start(module, { data: clone, random }),
        (error: unknown) => this.#fail(error),
      );
    }
  }

  post(message: MessageToWorker<Request>, transfer: readonly Transferable[]): void {
    const clone = cloned(message, transfer);
    queueMicrotask(() => {
      if (this.#receive) this.#receive(clone);
      else this.#inbox.push(clone);
    });
  }

  terminate(): void {
    this.#end(1);
  }

  /** It keeps no process alive. */
  unref(): void {}

  #start(module: URL, parts: { readonly data: unknown; readonly random: Random }): void {
    const start = inlineStarts.get(module.href);
    if (!start) return this.#fail(new Error(`${module.href} serves no worker`));
    try {
      // Whoever starts a module knows its messages, as with threads.
      const handler = start({ ...parts, mayBlock: false } as never);
      serveOn<never, unknown, unknown>(
        {
          post: (message, transfer) => this.#answer(message, transfer),
          listen: (listener) => {
            this.#receive = listener as (message: MessageToWorker<Request>) => void;
          },
          end: () => this.#end(0),
        },
        handler,
      );
      for (const message of this.#inbox.splice(0)) this.#receive?.(message);
    } catch (error) {
      this.#fail(error);
    }
  }

  #answer(message: MessageFromWorker<unknown, unknown>, transfer: readonly Transferable[]): void {
    const clone = cloned(message, transfer) as MessageFromWorker<Response, Event>;
    queueMicrotask(() => {
      if (!this.#hasEnded) this.#listeners.onMessage(clone);
    });
  }

  #fail(error: unknown): void {
    this.#listeners.onError(error);
    this.#end(1);
  }

  #end(exitCode: number): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#receive = () => undefined;
    queueMicrotask(() => this.#listeners.onExit(exitCode));
  }
}

function cloned<T>(message: T, transfer: readonly Transferable[]): T {
  return structuredClone(message, { transfer: [...transfer] });
}
