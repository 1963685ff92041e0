import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from 'node:worker_threads';
import { concatBytes } from '../base/bytes.ts';
import { type PackedScans, type ScannedDirectory, ScanReader } from './packed-scan.ts';

export type { ScannedDirectory } from './packed-scan.ts';

/** Given to the thread. */
export interface ScanWorkerData {
  readonly port: MessagePort;
}

/** Directories to be read, in this order; each request has one answer. */
export interface ScanAheadRequest {
  /** Paths one after the other, and where each ends. */
  readonly paths: Uint8Array<ArrayBuffer>;
  readonly ends: readonly number[];
  readonly noFollow: readonly boolean[];
}

/** A directory that was asked for. */
export interface ScanTicket {
  /** Set when the answer has come. */
  isDone: boolean;
  /** What was read; undefined also for what the caller has to read itself. */
  scan: ScannedDirectory | undefined;
}

const workerModule = new URL(
  import.meta.url.endsWith('.ts') ? './scan-worker.ts' : './scan-worker.js',
  import.meta.url,
);

/**
 * Reads directories with the status and attributes of their entries in a thread of its own, before they are needed.
 *
 * For local file systems: a call of the thread may take as long as the file system likes. A directory with anything
 * unusual about it (an error, an entry that vanished, numbers beyond 2^53) is left to the caller, who meets the same
 * again and tells it; so is everything once the thread has failed.
 */
export class ScanAhead {
  readonly #worker: Worker;
  readonly #port: MessagePort;
  /** What was asked for, by request, in the order of the answers. */
  readonly #open: ScanTicket[][] = [];
  #wake: (() => void) | undefined;
  #hasEnded = false;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#worker = new Worker(workerModule, {
      workerData: { port: port2 } satisfies ScanWorkerData,
      transferList: [port2],
    });
    port1.on('message', (packed: PackedScans) => this.#take(packed));
    this.#worker.on('error', () => this.#end());
    this.#worker.on('exit', () => this.#end());
    // Whoever waits for an answer waits for more than this thread.
    this.#worker.unref();
    port1.unref();
  }

  /** Requests that have no answer yet. */
  get openCount(): number {
    return this.#open.length;
  }

  /** Asks for directories that will be needed in this order. */
  ask(
    directories: readonly { readonly path: Uint8Array; readonly noFollow: boolean }[],
  ): ScanTicket[] {
    const tickets = directories.map(() => ({ isDone: this.#hasEnded, scan: undefined }));
    if (this.#hasEnded || tickets.length === 0) return tickets;
    let end = 0;
    const paths = concatBytes(directories.map(({ path }) => path));
    const request: ScanAheadRequest = {
      paths,
      ends: directories.map(({ path }) => (end += path.length)),
      noFollow: directories.map(({ noFollow }) => noFollow),
    };
    this.#open.push(tickets);
    this.#port.postMessage(request, [paths.buffer]);
    return tickets;
  }

  /** Settles when the ticket is done; undefined if it is. Never rejects. */
  waitFor(ticket: ScanTicket): Promise<void> | undefined {
    this.#receive();
    return ticket.isDone ? undefined : this.#await(ticket);
  }

  /** Ends the thread. Idempotent. */
  close(): void {
    this.#end();
    void this.#worker.terminate();
  }

  async #await(ticket: ScanTicket): Promise<void> {
    this.#port.ref();
    while (!ticket.isDone) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      await promise;
    }
    this.#port.unref();
  }

  /** Takes answers that have come, without waiting for a turn of the event loop. */
  #receive(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (!received) return;
      this.#take(received.message);
    }
  }

  #take(packed: PackedScans): void {
    const reader = new ScanReader(packed);
    for (const ticket of this.#open.shift() ?? []) {
      ticket.scan = reader.next();
      ticket.isDone = true;
    }
    this.#wakeUp();
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    for (const tickets of this.#open.splice(0)) for (const ticket of tickets) ticket.isDone = true;
    this.#port.close();
    this.#wakeUp();
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
