/** A line between client and server: what it adds to each connection. */
export interface Line {
  /** Added to every round trip, half of it each way. Bytes are late, not one after the other: any number is under way. */
  readonly roundTripMs?: number;
  /** Of all connections together, from the client. Default: as fast as it goes. */
  readonly upBytesPerSecond?: number;
  /** Of all connections together, from the server. */
  readonly downBytesPerSecond?: number;
}

/** From the client (`up`) or from the server. */
export type Way = 'up' | 'down';

/** What happens to a connection, and when. It strikes where all that is said of it holds. */
export interface ProxyFault {
  /**
   * `reset`: both sides get a reset. `truncate`: the receiver of this way is told that it ends here, as if the sender had
   * closed; the other way goes on. `stall`: nothing more arrives in this way, and nothing closes.
   */
  readonly does: 'reset' | 'truncate' | 'stall';
  /** Which bytes are counted, and stopped. */
  readonly way: Way;
  /** This many pass before it strikes; default 0. Counted from the start, or from `asked`. */
  readonly afterBytes?: number;
  /** Only the Nth connection since the faults were set, from 1; default: any. */
  readonly connection?: number;
  /**
   * Source of a regular expression (latin1) that has to be found in the bytes from the client first, in 1 KiB at most. Counted is
   * from its start (`up`), or from the next byte of the server (`down`).
   */
  readonly asked?: string;
  /** How often it strikes in all; default 1. */
  readonly times?: number;
  /** After a stall of this time all goes on; default: never. */
  readonly stallMs?: number;
}

/** Where in a piece of bytes a fault strikes. */
export interface Strike {
  readonly fault: ProxyFault;
  /** Bytes of the piece that pass before. */
  readonly offset: number;
}

/** Bytes that are kept to find an expression that lies across two pieces. */
const tailSizeBytesMax = 1 << 10;

/** Faults that were set, and how often each has struck. */
export class FaultPlan {
  readonly faults: readonly ProxyFault[];
  /** In the order of `faults`. */
  readonly strikes: number[];
  #connectionCount = 0;

  constructor(faults: readonly ProxyFault[] = []) {
    this.faults = faults;
    this.strikes = faults.map(() => 0);
  }

  /** What may happen to the next connection. */
  connect(): ConnectionFaults {
    const number = ++this.#connectionCount;
    const possible = this.faults
      .map((fault, at) => ({ fault, at }))
      .filter(({ fault: { connection = number } }) => connection === number);
    return new ConnectionFaults(this, possible);
  }
}

interface PossibleFault {
  readonly fault: ProxyFault;
  readonly at: number;
}

/** The faults of one connection: it is told of all bytes, in the order in which they come. */
export class ConnectionFaults {
  readonly #plan: FaultPlan;
  readonly #possible: readonly PossibleFault[];
  /** Bytes that may still pass, of those that are armed. */
  readonly #left = new Map<ProxyFault, number>();
  #tail = '';

  constructor(plan: FaultPlan, possible: readonly PossibleFault[]) {
    this.#plan = plan;
    this.#possible = possible;
    for (const { fault } of possible) {
      if (fault.asked === undefined) this.#left.set(fault, fault.afterBytes ?? 0);
    }
  }

  /** The faults within a piece, in order. An empty piece asks for what strikes before there are bytes. */
  pass(way: Way, piece: Buffer): Strike[] {
    if (this.#possible.length === 0) return [];
    if (way === 'up') this.#arm(piece);
    const strikes: Strike[] = [];
    for (let at = 0; ; ) {
      const next = this.#next(way, piece.byteLength - at);
      this.#count(way, next?.offset ?? piece.byteLength - at);
      if (!next) return strikes;
      at += next.offset;
      strikes.push({ fault: next.fault, offset: at });
      this.#spend(next);
    }
  }

  /** The first fault within so many bytes. */
  #next(way: Way, sizeBytes: number): (Strike & PossibleFault) | undefined {
    let first: (Strike & PossibleFault) | undefined;
    for (const { fault, at } of this.#possible) {
      const left = this.#left.get(fault);
      if (fault.way !== way || left === undefined || this.#isUsedUp(fault, at)) continue;
      if (left <= sizeBytes && left < (first?.offset ?? Infinity)) {
        first = { fault, at, offset: left };
      }
    }
    return first;
  }

  #isUsedUp({ times = 1 }: ProxyFault, at: number): boolean {
    return (this.#plan.strikes[at] ?? 0) >= times;
  }

  /** Looks for what has to be asked; after a strike it is looked for again. */
  #arm(piece: Buffer): void {
    if (this.#possible.every(({ fault }) => fault.asked === undefined)) return;
    const text = this.#tail + piece.toString('latin1');
    let end = Math.max(0, text.length - tailSizeBytesMax);
    for (const { fault, at } of this.#possible) {
      const { asked, way, afterBytes = 0 } = fault;
      if (asked === undefined || this.#left.has(fault) || this.#isUsedUp(fault, at)) continue;
      const found = new RegExp(asked).exec(text);
      if (!found) continue;
      const start = way === 'up' ? Math.max(0, found.index - this.#tail.length) : 0;
      this.#left.set(fault, start + afterBytes);
      end = Math.max(end, found.index + found[0].length);
    }
    this.#tail = text.slice(end);
  }

  #count(way: Way, sizeBytes: number): void {
    for (const [fault, left] of this.#left) {
      if (fault.way === way) this.#left.set(fault, Math.max(0, left - sizeBytes));
    }
  }

  #spend({ fault, at }: PossibleFault): void {
    this.#plan.strikes[at] = (this.#plan.strikes[at] ?? 0) + 1;
    this.#left.delete(fault);
  }
}
