import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from 'node:worker_threads';
import { workerModule } from '../base/worker-module.ts';
import { concatBytes } from '../base/bytes.ts';
import { type PackedDirectory, type PackedScans, ScanReader } from './packed-scan.ts';
import { claim, type ScanAheadRequest, type ScanWorkerData } from './scan-messages.ts';

export type { PackedDirectory, ScannedDirectory } from './packed-scan.ts';

/** A directory that was asked for. */
export interface ScanTicket {
  /** Set when the answer has come. */
  isDone: boolean;
  /** What was read; undefined also for what the caller has to read itself. */
  scan: PackedDirectory | undefined;
  readonly claims: Int32Array;
  /** Number of its claim. */
  readonly number: number;
}

/** Directories of one request: few, so that nobody waits long for the first of them. */
const requestDirectories = 8;

const moduleAddress = workerModule('./scan-worker.ts', import.meta.url);

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
    this.#worker = new Worker(moduleAddress, {
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

  /** Asks for directories, given by path, that will be needed in this order. */
  ask(paths: readonly Uint8Array[]): ScanTicket[] {
    const tickets: ScanTicket[] = [];
    for (let at = 0; at < paths.length; at += requestDirectories) {
      tickets.push(...this.#request(paths.slice(at, at + requestDirectories)));
    }
    return tickets;
  }

  /** True once the answer is there, also if no turn of the event loop has brought it yet. */
  isDone(ticket: ScanTicket): boolean {
    if (!ticket.isDone) this.#receive();
    return ticket.isDone;
  }

  /**
   * Settles when the ticket is done; undefined if it is. What the thread has not begun is done at once, for the caller
   * to read. Never rejects.
   */
  waitFor(ticket: ScanTicket): Promise<void> | undefined {
    this.#receive();
    if (ticket.isDone) return undefined;
    const { claims, number } = ticket;
    if (Atomics.compareExchange(claims, number, claim.free, claim.caller) === claim.free) {
      ticket.isDone = true;
      return undefined;
    }
    return this.#await(ticket);
  }

  /** Ends the thread. Idempotent. */
  close(): void {
    this.#end();
    void this.#worker.terminate();
  }

  #request(paths: readonly Uint8Array[]): ScanTicket[] {
    const claims = new Int32Array(new SharedArrayBuffer(4 * paths.length));
    const isDone = this.#hasEnded;
    const tickets = paths.map((_, number) => ({ isDone, scan: undefined, claims, number }));
    if (isDone) return tickets;
    let end = 0;
    const ends = paths.map((path) => (end += path.length));
    const request: ScanAheadRequest = { paths: concatBytes(paths), ends, claims };
    this.#open.push(tickets);
    this.#port.postMessage(request, [request.paths.buffer]);
    return tickets;
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
