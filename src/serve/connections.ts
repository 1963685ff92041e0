import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Of all connections, one address may hold half: the rest is for others. */
const shareOfOne = 0.5;

/** Requests of one connection that may wait for the one before them. Clients of the protocol wait for each answer. */
const waitingCountMax = 8;

interface Turn {
  last: Promise<void>;
  count: number;
}

/** Holds the number of connections, in all and of each address. */
export class Connections {
  readonly #ofAddress: Map<string, number> = new Map();
  readonly #countMax: number;
  readonly #addresses: WeakMap<Socket, string> = new WeakMap();
  readonly #turns: WeakMap<Socket, Turn> = new WeakMap();
  readonly #sockets: Set<Socket> = new Set();

  constructor(server: Server, countMax: number) {
    this.#countMax = countMax;
    server.maxConnections = countMax;
    server.on('connection', (socket) => this.#take(socket));
  }

  /** Where a connection comes from; empty for one of a socket of this machine. */
  addressOf(socket: Socket): string {
    return this.#addresses.get(socket) ?? plainAddress(socket);
  }

  /** Connections that are open. */
  get count(): number {
    return this.#sockets.size;
  }

  /**
   * Runs the requests of one connection one after the other, as they came: one that sends many without waiting for answers
   * gets no more of the server than another. With too many it is cut off.
   */
  inTurn(socket: Socket, work: () => Promise<void>): Promise<void> {
    const turn = this.#turns.get(socket) ?? { last: Promise.resolve(), count: 0 };
    this.#turns.set(socket, turn);
    if (turn.count > waitingCountMax) {
      socket.destroy();
      return Promise.resolve();
    }
    turn.count++;
    const run = async (): Promise<void> => {
      try {
        if (!socket.destroyed) await work();
      } finally {
        turn.count--;
      }
    };
    const result = turn.last.then(run);
    // The next one is answered however this one ends.
    turn.last = result.catch(() => {});
    return result;
  }

  /** Cuts all off, also those that have not said anything yet. */
  destroyAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #take(socket: Socket): void {
    const address = plainAddress(socket);
    const count = (this.#ofAddress.get(address) ?? 0) + 1;
    // A proxy on this machine brings everybody.
    const isOther = address !== '' && !/^(127\.|::1$)/.test(address);
    if (isOther && count > Math.max(1, this.#countMax * shareOfOne)) {
      socket.destroy();
      return;
    }
    this.#addresses.set(socket, address);
    this.#ofAddress.set(address, count);
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      const left = (this.#ofAddress.get(address) ?? 1) - 1;
      if (left > 0) this.#ofAddress.set(address, left);
      else this.#ofAddress.delete(address);
    });
  }
}

/** IPv4 as such, also where it came to a socket of IPv6. */
function plainAddress({ remoteAddress }: Socket): string {
  return (remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '');
}
