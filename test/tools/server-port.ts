import type { Server } from 'node:net';

/** The port that a server of a test listens on; it must listen on TCP already. */
export function portOf(server: Pick<Server, 'address'>): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it has no port');
  return address.port;
}
