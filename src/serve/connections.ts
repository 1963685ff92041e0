import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Of all connections, one address may hold half: the rest is for others. */
const shareOfOne = 0.5;

/** Holds the number of connections, in all and of each address. */
export class Connections {
  readonly #ofAddress: Map<string, number> = new Map();
  readonly #countMax: number;
  readonly #addresses: WeakMap<Socket, string> = new WeakMap();
  count = 0;

  constructor(server: Server, countMax: number) {
    this.#countMax = countMax;
    server.maxConnections = countMax;
    server.on('connection', (socket) => this.#take(socket));
  }

  /** Where a connection comes from; empty for one of a socket of this machine. */
  addressOf(socket: Socket): string {
    return this.#addresses.get(socket) ?? plainAddress(socket);
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
    this.count++;
    socket.once('close', () => {
      this.count--;
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
