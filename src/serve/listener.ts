import type { Server } from 'node:http';
import { connect } from 'node:net';
import { describeError, HoldfastError, systemCode } from '../base/errors.ts';
import { changeMode, linkStatus, unlink } from '../storage/local/files.ts';
import type { ListenAddress } from './listen-address.ts';

/** A server that listens. */
export interface Listener {
  /** Where: what follows the scheme of a URL. */
  readonly place: string;
  /** Takes no more connections; resolves when all are closed. */
  close(): Promise<void>;
}

/**
 * Has a server listen. A socket that an earlier server left behind is replaced, one that somebody listens on is not.
 * @param socketMode permissions of a socket
 * @throws USAGE
 */
export async function openListener(
  server: Server,
  address: ListenAddress,
  socketMode: number,
): Promise<Listener> {
  const isSocket = address.kind === 'socket';
  try {
    if (isSocket) await removeLeftSocket(address.path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      const listening = (): void => {
        server.off('error', reject);
        resolve();
      };
      if (isSocket) server.listen({ path: address.path }, listening);
      else server.listen({ host: address.host, port: address.port }, listening);
    });
    if (isSocket) await changeMode(address.path, socketMode);
  } catch (error) {
    throw new HoldfastError('USAGE', {
      message: `cannot listen on ${describeAddress(address)}: ${reasonOf(error)}`,
    });
  }
  return {
    place: placeOf(server, address),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
      }),
  };
}

async function removeLeftSocket(path: string): Promise<void> {
  const found = await linkStatus(path).catch(() => undefined);
  if (!found?.isSocket() || (await isAnswered(path))) return;
  await unlink(path);
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => resolve(systemCode(error) !== 'ECONNREFUSED'));
  });
}

function placeOf(server: Server, address: ListenAddress): string {
  if (address.kind === 'socket') return `+unix://${address.path}:/`;
  const bound = server.address();
  const port = typeof bound === 'object' && bound ? bound.port : address.port;
  const host = address.host ?? '0.0.0.0';
  return `://${host.includes(':') ? `[${host}]` : host}:${port}/`;
}

function describeAddress(address: ListenAddress): string {
  if (address.kind === 'socket') return `unix:${address.path}`;
  return `${address.host ?? ''}:${address.port}`;
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'somebody listens there already',
  EACCES: 'permission denied',
  EADDRNOTAVAIL: 'this machine does not have that address',
  ENOTFOUND: 'there is no such host',
  ENOENT: 'there is no such folder',
};

function reasonOf(error: unknown): string {
  return reasons[systemCode(error) ?? ''] ?? describeError(error);
}
