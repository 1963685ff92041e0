import type { Socket } from 'node:net';

import { systemClock } from '../../src/base/clock.ts';
import type { ConnectionFaults, ProxyFault, Way } from './tcp-proxy-rules.ts';

/**
 * Bytes of one way of one connection that are under way at most: what TCP's largest windows allow on Linux (4 MiB), and so the
 * 80 to 160 MB/s that one connection reaches over 50 ms. More is left with the sender.
 */
const underWaySizeBytesMax = 4 << 20;

/** All connections of one way of a line share it. */
export class Pace {
  readonly #bytesPerSecond: number;
  #freeMs = 0;

  constructor(bytesPerSecond: number) {
    this.#bytesPerSecond = bytesPerSecond;
  }

  /** When a piece that comes now has gone through. */
  through(nowMs: number, sizeBytes: number): number {
    if (this.#bytesPerSecond === Infinity) return nowMs;
    this.#freeMs = Math.max(this.#freeMs, nowMs) + (sizeBytes / this.#bytesPerSecond) * 1000;
    return this.#freeMs;
  }
}

/** What the line is like in one way. */
export interface PipeLine {
  readonly way: Way;
  readonly delayMs: number;
  readonly pace: Pace;
  readonly faults: ConnectionFaults;
  /** Resets both sides. */
  readonly reset: () => void;
  readonly counted: (sizeBytes: number) => void;
}

/** What is under way: bytes, the end, or a fault. */
interface Item {
  readonly dueMs: number;
  readonly does: Buffer | 'end' | ProxyFault;
}

/** Brings the bytes of one side to the other, late. */
export class Pipe {
  readonly #line: PipeLine;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #queue: Item[] = [];
  #sizeBytes = 0;
  #isRunning = false;
  #isCut = false;

  constructor(line: PipeLine, { from, to }: { readonly from: Socket; readonly to: Socket }) {
    this.#line = line;
    this.#from = from;
    this.#to = to;
  }

  start(): void {
    this.#take(Buffer.alloc(0));
    this.#from.on('data', (piece: Buffer) => this.#take(piece));
    this.#from.on('end', () => this.#add('end'));
    this.#from.resume();
  }

  #take(piece: Buffer): void {
    if (this.#isCut) return;
    let at = 0;
    for (const { fault, offset } of this.#line.faults.pass(this.#line.way, piece)) {
      this.#add(piece.subarray(at, offset));
      this.#add(fault);
      at = offset;
    }
    this.#add(piece.subarray(at));
    if (this.#sizeBytes >= underWaySizeBytesMax) this.#from.pause();
  }

  #add(does: Item['does']): void {
    const sizeBytes = Buffer.isBuffer(does) ? does.byteLength : 0;
    if (Buffer.isBuffer(does) && sizeBytes === 0) return;
    const throughMs = this.#line.pace.through(systemClock.monotonicMs(), sizeBytes);
    this.#sizeBytes += sizeBytes;
    this.#queue.push({ dueMs: throughMs + this.#line.delayMs, does });
    if (!this.#isRunning) void this.#run();
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    for (let item = this.#queue.shift(); item; item = this.#queue.shift()) {
      const waitMs = item.dueMs - systemClock.monotonicMs();
      if (waitMs > 0) await systemClock.sleep(waitMs);
      if (this.#isCut) break;
      await this.#arrive(item.does);
    }
    this.#isRunning = false;
  }

  async #arrive(does: Item['does']): Promise<void> {
    if (does === 'end') this.#to.end();
    else if (!Buffer.isBuffer(does)) await this.#strike(does);
    else if (this.#to.destroyed) this.#line.reset();
    else await this.#deliver(does);
  }

  async #deliver(piece: Buffer): Promise<void> {
    this.#line.counted(piece.byteLength);
    if (!this.#to.write(piece)) {
      await new Promise<void>((resolve) => {
        this.#to.once('drain', resolve).once('close', resolve);
      });
    }
    this.#sizeBytes -= piece.byteLength;
    if (this.#sizeBytes < underWaySizeBytesMax) this.#from.resume();
  }

  async #strike({ does, stallMs }: ProxyFault): Promise<void> {
    if (does === 'reset') return this.#line.reset();
    if (does === 'stall') {
      await (stallMs === undefined ? new Promise(() => undefined) : systemClock.sleep(stallMs));
      return;
    }
    this.#isCut = true;
    this.#to.end();
    // What still comes is read and dropped, so that the sender notices nothing.
    this.#from.resume();
  }
}
